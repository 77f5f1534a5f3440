"""All files in remote storage, from which each job fetches its inputs and to which it sends its outputs."""

import shutil

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("rsync"), reason="the storage plugin fs needs rsync")
def test_figures_are_built_with_all_files_in_storage(tmp_path, fresh):
    project, bucket = fresh, tmp_path / "bucket"
    bucket.mkdir()
    kept = ("--cores", "2", "--default-storage-provider", "fs", "--default-storage-prefix", str(bucket))
    for figure in ("figures/ed3c.crate.zip", "figures/fig1a.pdf", "figures/ed5c.pdf"):
        done = project.snakemake(figure, *kept)
        assert done.returncode == 0, done.stderr + done.stdout
        assert (bucket / figure).is_file()
        assert not (project.folder / figure).exists()
        again = project.snakemake(figure, *kept)
        assert "Nothing to be done" in again.stdout + again.stderr
    found = {str(path.relative_to(bucket)) for path in bucket.rglob("*.parquet")}
    assert found >= set(project.paths("ed3c").values()) | set(project.paths("ed5c").values())
    assert len(list(bucket.glob("results/tables/ed3c/*.parquet"))) == 1
    assert len(list(bucket.glob("data/glyphs/mnist-*/train-images-idx3-ubyte.gz"))) == 1
    assert not (project.folder / "results").exists()
    assert not (project.folder / "data").exists()
