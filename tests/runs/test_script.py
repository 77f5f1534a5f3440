"""Scripts of the workflow report errors on standard error and in their logs."""

import pytest

from lop.common.errors import EXIT_BAD_INPUT, InputError
from lop.runs.script import logged


@pytest.mark.parametrize("error", [InputError("a.yml: found 3"), OSError(2, "found 3", "a.yml")], ids=str)
def test_error_is_one_line_on_standard_error_and_in_the_log(error, tmp_path, capsys):
    log = tmp_path / "logs" / "draw.log"
    with pytest.raises(SystemExit) as ended, logged(str(log)):
        raise error
    assert ended.value.code == EXIT_BAD_INPUT
    assert log.read_text() == capsys.readouterr().err == "error: a.yml: found 3\n"
    with logged(str(log)):  # another attempt, which succeeds
        pass
    assert log.read_text() == ""
