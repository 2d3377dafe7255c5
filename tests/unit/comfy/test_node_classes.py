"""A server's node classes, decoded one by one."""

from msgspec import Raw

from daemon.comfy.node_classes import NodeClasses


def test_a_class_is_decoded_when_it_is_asked_for_and_once() -> None:
    classes = NodeClasses({"SaveImage": Raw(b'{"output_node":true}'), "Broken": Raw(b"{")})
    description = classes["SaveImage"]
    assert description == {"output_node": True}
    assert classes.get("SaveImage") is description
    assert classes.get("Missing") is None
    assert set(classes) == {"SaveImage", "Broken"}
