"""What stands in the package: the two workflow types that need no file, and the example file."""

from pathlib import Path

from config.given import DEFAULT, Given, Raw, Table, plain

#: Beside this file; ``importlib.resources`` would cost every command 15 ms for the same path.
EXAMPLES = Path(__file__).parent / "examples"

_BUILT_IN: dict[str, dict[str, Raw]] = {
    "图片合成": {
        "template": str(EXAMPLES / "workflows" / "image_composition.json"),
        "inputs": {
            "product_image": "product.image",
            "model_image": "model.image",
            "seed": "sampler.seed",
        },
        "outputs": {"image": "output"},
    },
    "图生视频": {
        "template": str(EXAMPLES / "workflows" / "image_to_video.json"),
        "inputs": {"image": "image.image"},
    },
}
#: A second video costs minutes of a GPU; only a person may order it on a guess.
_ASK_WHEN_UNCERTAIN = "图生视频"


def with_built_in_workflows(workflows: Raw) -> Raw:
    """Return the *workflows* table of a file, completed; None stands for a file without one.

    A file that names workflows names all there are. One of the two built-in types that names no
    template of its own gets the built-in one, with its inputs and outputs unless it gives them.
    """
    if workflows is None:
        workflows = {name: {} for name in _BUILT_IN}
    if not isinstance(workflows, dict):
        return workflows
    return {name: _completed(name, table) for name, table in workflows.items()}


def _completed(name: str, workflow: Raw) -> Raw:
    table = plain(workflow)
    if not isinstance(table, dict):
        return workflow
    built_in = {} if "template" in table else _BUILT_IN.get(name, {})
    completed: Table = {key: _by_default(value) for key, value in built_in.items()}
    if name == _ASK_WHEN_UNCERTAIN:
        completed["on_uncertain"] = _by_default("ask")
    return completed | table


def _by_default(value: Raw) -> Raw:
    if isinstance(value, dict):
        return {key: _by_default(inner) for key, inner in value.items()}
    return Given(value, DEFAULT, EXAMPLES)
