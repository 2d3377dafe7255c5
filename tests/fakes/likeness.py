"""When an answer or a story told over a websocket is like a recorded one.

* Status: equal.
* Headers: ``Content-Type``, ``Content-Disposition``, ``Accept-Ranges`` equal; ``Last-Modified`` and
  ``Content-Length`` there when they were recorded. Lengths differ with the pictures.
* Bodies of refused prompts, uploads and cancellations: equal, to the letter.
* Other JSON: recursively the same keys, and values of the same JSON type (whole and broken numbers
  are one type). A list of unlike things is a tuple: same length, place by place. In a list of like
  things each element has the shape of some recorded one, since counts depend on the machine; it is
  empty exactly when the recorded one was, but for the names in ``MAY_BE_EMPTY``.
* Websocket frames: the order of types, with neighbouring equal types taken as one, because the real
  server repeats ``progress_state`` as often as it likes; which nodes were ``executing`` and
  ``executed``, as sets, because independent nodes run in any order; the shape of every frame.
* When several prompts overlap: the same per prompt, without ``status`` frames, whose moment is free.
"""

import itertools

MAY_BE_EMPTY = {"nodes", "executed", "current_outputs", "traceback", "search_aliases", "argv"}


def same_headers(recorded, answered, *, empty=False):
    for name, value in recorded.items():
        if empty and name == "Content-Type":
            continue  # of no body
        assert name in answered, f"{name} is missing"
        if name in {"Content-Type", "Content-Disposition", "Accept-Ranges"}:
            assert answered[name] == value


def same_keys(recorded, answered):
    assert set(recorded) == set(answered)


def same_shape(recorded, answered):
    assert differences(recorded, answered) == []


def differences(recorded, answered, path="$"):
    """Return where two JSON values have other keys or types, as readable lines."""
    if json_type(recorded) != json_type(answered):
        return [f"{path}: {json_type(recorded)} was recorded, not {json_type(answered)}"]
    if isinstance(recorded, dict):
        if set(recorded) != set(answered):
            return [f"{path}: keys differ in {sorted(set(recorded) ^ set(answered))}"]
        return [
            line
            for key in recorded
            for line in differences(recorded[key], answered[key], f"{path}.{key}")
        ]
    if isinstance(recorded, list):
        return list_differences(recorded, answered, path)
    return []


def list_differences(recorded, answered, path):
    if len({json_type(element) for element in recorded if element is not None}) > 1:
        if len(recorded) != len(answered):
            return [f"{path}: {len(recorded)} places were recorded, not {len(answered)}"]
        pairs = enumerate(zip(recorded, answered, strict=True))
        return [line for i, (old, new) in pairs for line in differences(old, new, f"{path}[{i}]")]
    if path.rsplit(".", 1)[-1] in MAY_BE_EMPTY and not (recorded and answered):
        return []
    if bool(recorded) != bool(answered):
        return [f"{path}: {len(recorded)} elements were recorded, not {len(answered)}"]
    unlike = []
    for i, element in enumerate(answered):
        attempts = [differences(old, element, f"{path}[{i}]") for old in recorded]
        if all(attempts):
            unlike += min(attempts, key=len)
    return unlike


def json_type(value):
    if isinstance(value, bool) or value is None:
        return str(type(value).__name__)
    return "number" if isinstance(value, int | float) else type(value).__name__


def same_order(recorded, seen, *, cut=False):
    """Compare frames as the module says; *cut* when the moment of an interrupt was free."""
    if cut:  # how far it came is chance: begin and end must be alike
        assert types(seen)[:2] == types(recorded)[:2]
        assert types(seen)[-2:] == types(recorded)[-2:]
    else:
        assert types(seen) == types(recorded)
        for kind in ("executing", "executed"):
            assert nodes(seen, kind) == nodes(recorded, kind)
    for frame in seen:
        if frame["type"] == "progress":
            continue  # long nodes tell more; none was recorded
        examples = [other for other in recorded if other["type"] == frame["type"]]
        alike = [other for other in examples if same_node_kind(other, frame)]
        assert any(not differences(listed(example), listed(frame)) for example in alike), frame


def listed(frame):
    """Turn the map by node id in ``progress_state`` into a list: which nodes are in it is chance."""
    if frame["type"] != "progress_state":
        return frame
    return {**frame, "data": {**frame["data"], "nodes": list(frame["data"]["nodes"].values())}}


def same_node_kind(recorded, frame):
    """``executing`` with a node and without one are two kinds of frame."""
    if frame["type"] == "executing":
        return (recorded["data"]["node"] is None) == (frame["data"]["node"] is None)
    return True


def types(frames):
    return [
        kind for kind, _ in itertools.groupby(f["type"] for f in frames if f["type"] != "progress")
    ]


def nodes(frames, kind):
    return {frame["data"]["node"] for frame in frames if frame["type"] == kind}


def of(frames, prompt_id):
    return [frame for frame in frames if frame["data"].get("prompt_id") == prompt_id]


def without_status(frames):
    return [frame for frame in frames if frame["type"] != "status"]


def events(history):
    return [event for event, _ in history["status"]["messages"]]


def cached_nodes(history):
    return set(dict(history["status"]["messages"])["execution_cached"]["nodes"])


def same_entries(recorded, answered):
    """Compare two queues whose lengths are chance, entry by entry."""
    same_keys(recorded, answered)
    examples = recorded["queue_running"] + recorded["queue_pending"]
    for entry in answered["queue_running"] + answered["queue_pending"]:
        assert any(not differences(example[:2], entry[:2]) for example in examples)
        assert len(entry) == len(examples[0])
