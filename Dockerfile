# The image of every Catena service: docker build -t catena . && docker run --rm catena python -m links.fetcher --help
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

# The slim image comes without compiled modules, and nothing may be written at run time: compiled here, each start saves them.
RUN python -m compileall -q -j 0 "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin catena

# First the dependencies, by way of a package that is empty but for its version: new code leaves this layer as it is.
WORKDIR /src
COPY pyproject.toml LICENSE ./
COPY catena_core/version.py catena_core/
RUN pip install --no-cache-dir '.[catalogue,oidc,redis]'

# .dockerignore lets nothing in but what the package is made of.
COPY . .
RUN pip install --no-cache-dir --no-deps .

COPY deploy/docker/healthy /usr/local/bin/

# Volumes mounted here belong to the user below.
RUN install -d -o 10001 -g 10001 /data

# The view of a gateway is kept there when it takes more memory than GATEWAY_VIEW_BYTES.
ENV XDG_CACHE_HOME=/data/cache

# Relative settings, as CATALOGUE_LIST is by default, are looked for here; not in /src, where the code would be found twice.
WORKDIR /catena
USER 10001:10001
CMD ["catena", "--help"]
