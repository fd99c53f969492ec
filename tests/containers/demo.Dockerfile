# The demo's servers, for tests only: `python -m demo.idp`, `python -m demo.api`, `python -m demo.serve`.
ARG BASE

FROM ${BASE} AS build
ARG PIP_NO_INDEX=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.txt .
COPY wheels wheels
RUN python3 -m venv --without-pip /opt/demo \
 && python3 -m pip --python /opt/demo/bin/python install --find-links /src/wheels -r requirements.txt

FROM ${BASE}
COPY --from=build /opt/demo /opt/demo
COPY demo /srv/demo
ENV PATH=/opt/demo/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv
USER 65532:65532
ENTRYPOINT []
CMD ["python", "-m", "demo.serve", "--help"]
