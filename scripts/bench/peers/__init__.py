"""What a user could pick instead, each measured in its own process.

Every module here has the same few functions, as far as the peer can do it:

    train(sizes, meter)             make training steps
    sample(sizes, batch_size)       return a function that writes a window
"""
