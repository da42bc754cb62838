"""Real servers for the tests: Apache Kafka, Redis, MongoDB, Apache Jena Fuseki and RDF4J.

Each server is found in this order: an address in the environment (`CATENA_TEST_KAFKA`, `CATENA_TEST_REDIS`,
`CATENA_TEST_MONGODB`, `CATENA_TEST_FUSEKI`), a container where a Docker daemon answers, a local process whose program is
fetched once into `.cache` (`CATENA_CACHE`) by the clients of its registry: Maven or apt-get.
"""

from tests.servers.fuseki import Fuseki, fuseki_server
from tests.servers.kafka import Kafka, kafka_server
from tests.servers.kafka_cluster import KafkaCluster, kafka_cluster
from tests.servers.mongodb import MongoDB, mongodb_server
from tests.servers.rdf4j import Rdf4j, rdf4j_server
from tests.servers.redis import Redis, guarded_redis_server, redis_server
from tests.servers.server import Server, ServerFailedError, ServerUnavailable

__all__ = [
    "Fuseki",
    "Kafka",
    "KafkaCluster",
    "MongoDB",
    "Rdf4j",
    "Redis",
    "Server",
    "ServerFailedError",
    "ServerUnavailable",
    "fuseki_server",
    "guarded_redis_server",
    "kafka_cluster",
    "kafka_server",
    "mongodb_server",
    "rdf4j_server",
    "redis_server",
]
