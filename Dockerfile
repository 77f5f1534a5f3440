# Image with the project and its pinned packages. docs/containers.md describes how to build and use it.
FROM python:3.11-slim-bookworm

# make for the commands of the documentation, OSMesa to render the ant of fig3a.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libosmesa6 make \
    && rm -rf /var/lib/apt/lists/*

# Any user may write to the folders that results, figures, images and caches are written to.
WORKDIR /lop
RUN useradd --uid 1000 --home-dir /lop lop \
    && install -d -o lop -m 777 . results figures data .snakemake .cache
USER 1000

# On Linux, requirements.lock selects the build of torch for CUDA. For the CPU build, which is several gigabytes smaller,
# pass PyTorch's index of CPU packages: docker build --build-arg PIP_EXTRA_INDEX_URL=<index> .
ARG PIP_EXTRA_INDEX_URL
COPY --chown=lop requirements.lock ./
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir -r requirements.lock
COPY --chown=lop . ./
RUN make setup

ENV PATH=/lop/.venv/bin:$PATH HOME=/lop USER=lop XDG_CACHE_HOME=/lop/.cache NUMBA_CACHE_DIR=/lop/.cache/numba
CMD ["make", "figures/fig4a.pdf", "SCALE=day"]
