import pytest


def pytest_collection_modifyitems(items):
    """The tests of a file share a project, so one worker does them all; these long ones come first."""
    for item in items:
        if "project" in getattr(item, "fixturenames", ()) or item.path.name == "test_workflow.py":
            item.add_marker(pytest.mark.xdist_group(item.path.name))
