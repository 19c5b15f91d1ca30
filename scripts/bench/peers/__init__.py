"""This package and its peers, each measured in its own process.

Every module has some of these functions:

    train(sizes, meter)             make training steps
    sample(sizes, batch_size)       return a function that generates a window
    products(x, expand, contract)   return a function that multiplies matrices
    check(sizes, reference)         compute what `ours.reference` computed, from its weights
"""
