"""Shipped: small trained models that come with the package.

Each stands in a folder like that of a run. Its weights are float16, and
`provenance.json` says how they were trained and how good they are.
"""

from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "shipped"
NAMES = "gpt", "bert", "transformer", "lstm"


def shipped_folder(name: str) -> Path:
    """Find the folder of a trained model that came with the package.

    Args:
        name: "gpt" (it continues Python's documentation), "bert" (it
            predicts hidden pieces of it), "transformer" or "lstm" (they
            translate dates into their ISO form).

    Raises:
        ValueError: if no model has this name, or its files are missing.
    """
    if name not in NAMES:
        raise ValueError(
            f"No shipped model is called {name!r}: choose one of "
            f"{', '.join(NAMES)}."
        )
    folder = SHIPPED / name
    if not (folder / "provenance.json").is_file():
        raise ValueError(
            f"The trained model that should be in {folder} is missing: "
            "install minitransformer again."
        )
    return folder


def named_folder(run: str | Path, *names: str) -> Path:
    """Find the folder that a user names: a run, or a shipped model.

    Args:
        run: A folder, or "shipped" for the first of `names`, or
            "shipped-NAME" for the shipped model NAME. A folder of yours
            that is called so is "./shipped".
        names: The shipped models that the user may choose.

    Raises:
        ValueError: if another shipped model is named, or it is missing.
    """
    word, _, name = str(run).partition("-")
    if word != "shipped":
        return Path(run)
    name = name or names[0]
    if name not in names:
        allowed = " or ".join(f"shipped-{name}" for name in names)
        raise ValueError(
            f"{run} does not fit here: give {allowed}, or ./{run} if you "
            "mean a folder of yours."
        )
    return shipped_folder(name)
