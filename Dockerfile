# One image, two programs: `extauthz serve --config FILE` and `oauth-agent serve --config FILE`.
# BASE needs Python >= 3.11 with pip, and a shell to build with; only its Python is used when running.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
# 1 builds without a network, from the wheels in wheels/; empty asks the package index.
ARG PIP_NO_INDEX=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_FIND_LINKS=/wheels
# A virtual environment without pip: what runs cannot install. The dependencies first, in a layer of their own.
COPY pyproject.toml wheels* /wheels/
RUN python3 -m venv --without-pip /opt/token-handler \
 && python3 -c "import tomllib; p = tomllib.load(open('/wheels/pyproject.toml', 'rb'))['project']; \
print(*p['dependencies'], *p['optional-dependencies']['fast'], *p['optional-dependencies']['redis'], sep='\n')" \
    > /wheels/requirements.txt \
 && python3 -m pip --python /opt/token-handler/bin/python install --requirement /wheels/requirements.txt
# What to install, as pip writes it: the checkout, or a wheel in the context ("dist/NAME.whl").
ARG DIST=.
WORKDIR /src
COPY . .
RUN python3 -m pip --python /opt/token-handler/bin/python install "${DIST}"

FROM ${BASE}
LABEL org.opencontainers.image.title="envoy-token-handler" \
      org.opencontainers.image.description="The OAuth Proxy (extauthz) and OAuth Agent (oauth-agent) of the Token Handler Pattern for Envoy" \
      org.opencontainers.image.licenses="Apache-2.0"
# Bytecode is already there, and the file system may be read-only.
ENV PATH=/opt/token-handler/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /
# A number, so that Kubernetes can see for itself that it is not root (runAsNonRoot).
USER 65532:65532
ENTRYPOINT []
CMD ["extauthz", "--help"]
COPY --from=build /opt/token-handler /opt/token-handler
