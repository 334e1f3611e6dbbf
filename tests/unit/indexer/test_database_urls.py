"""A database's URL as it is written: what belongs to it, and what is refused."""

from pathlib import Path

import pytest

from indexer.database import write_engine
from indexer.errors import SettingsError


def test_the_end_of_a_files_line_is_no_part_of_a_url(tmp_path: Path) -> None:
    engine = write_engine(f"sqlite:///{tmp_path / 'indexer.sqlite'}\n")
    assert engine.url.database == str(tmp_path / "indexer.sqlite")


@pytest.mark.parametrize("url", ["", "a database", "mysql://host/name"])
def test_what_is_no_url_of_a_known_database_is_refused_by_name(url: str) -> None:
    with pytest.raises(SettingsError, match="GELAP_DATABASE_URL"):
        write_engine(url)
