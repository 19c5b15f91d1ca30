"""This package and three other libraries, each measured in its own process.

Every module has some of these functions:

    train(sizes, meter)             make training steps
    sample(sizes, batch_size)       return a function that generates a window
"""
