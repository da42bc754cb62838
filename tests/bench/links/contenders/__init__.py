"""The programs that are compared: `python -m tests.bench.links.contenders.NAME -k HOST:PORT -i TOPIC -o TOPIC -g GROUP`."""
