#!/usr/bin/env bash
# Builds stand-ins for the images that docker-compose.yml names, where no registry can be reached: from Debian's packages, and from
# the jars of Apache Kafka, whose own container program (kafka.docker.KafkaDockerWrapper) reads the settings as the real image does.
#
#   stand_ins.sh FOLDER-OF-KAFKA-JARS      needs root, debootstrap and a Docker daemon; takes two minutes and 500 MB
set -euo pipefail
jars=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "no registry: building stand-ins for python, apache/kafka and redis" >&2

debootstrap --variant=minbase \
  --include=python3,python3-pip,python3-venv,ca-certificates,openjdk-17-jre-headless,redis-server \
  bookworm "$work/root" >"$work/log" || { tail "$work/log" >&2; exit 1; }
cp /usr/local/share/ca-certificates/*.crt "$work/root/usr/local/share/ca-certificates/" 2>/dev/null || true
chroot "$work/root" update-ca-certificates >/dev/null 2>&1
rm -rf "$work"/root/usr/lib/python3*/EXTERNALLY-MANAGED "$work"/root/var/cache/apt/archives/*.deb
ln -sf /usr/bin/python3 "$work/root/usr/local/bin/python"
tar -C "$work/root" -c . | docker import --change 'CMD ["python3"]' - python:3.13-slim >/dev/null

mkdir -p "$work/kafka"
cp -r "$jars" "$work/kafka/jars"
cat >"$work/kafka/log4j2.yaml" <<'YAML'
Configuration:
  Appenders:
    Console: {name: STDOUT, PatternLayout: {pattern: "[%d] %p %m (%c)%n"}}
  Loggers:
    Root: {level: INFO, AppenderRef: [{ref: STDOUT}]}
    Logger:
      - {name: kafka, level: INFO}
      - {name: org.apache.kafka, level: INFO}
      - {name: org.apache.kafka.controller, level: INFO}
      - {name: state.change.logger, level: INFO}
YAML
cat >"$work/kafka/run" <<'RUN'
#!/bin/bash
# As the real image starts: settings from the environment, format once, serve.
export CLUSTER_ID=${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}
said=$(java -cp '/opt/kafka/jars/*' kafka.docker.KafkaDockerWrapper setup \
  --default-configs-dir /etc/kafka/docker --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) ||
  grep -iq 'already formatted' <<<"$said" || { echo "$said"; exit 1; }
exec java ${KAFKA_HEAP_OPTS:--Xmx1g} -Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml \
  -cp '/opt/kafka/jars/*' kafka.Kafka /opt/kafka/config/server.properties
RUN
chmod +x "$work/kafka/run"
cat >"$work/kafka/Dockerfile" <<'DOCKERFILE'
FROM python:3.13-slim
RUN useradd --system kafka && mkdir -p /opt/kafka/config /var/lib/kafka/data /etc/kafka/docker /mnt/shared/config \
 && touch /opt/kafka/config/server.properties /etc/kafka/docker/server.properties /etc/kafka/docker/tools-log4j2.yaml \
 && chown -R kafka /opt/kafka /var/lib/kafka
COPY jars /opt/kafka/jars
COPY log4j2.yaml /etc/kafka/docker/
COPY run /etc/kafka/docker/run
USER kafka
VOLUME /var/lib/kafka/data
CMD ["/etc/kafka/docker/run"]
DOCKERFILE
docker build -q -t "$(sed -n 's/^ *image: \(apache\/kafka:.*\)/\1/p' docker-compose.yml | head -1)" "$work/kafka" >/dev/null
printf 'FROM python:3.13-slim\nUSER redis\nCMD ["redis-server"]\n' |
  docker build -q -t "$(sed -n 's/^ *image: \(redis:.*\)/\1/p' docker-compose.yml)" - >/dev/null
# Of PostgreSQL only the name: what is tested of the DLT-Booth is that it does not start without its settings.
docker tag python:3.13-slim "$(sed -n 's/^ *image: \(postgres:.*\)/\1/p' docker-compose.yml | head -1)"
