// The layout of a graph of statements: nodes that are joined attract each other, and all others keep apart.
import { forceCenter, forceLink, forceManyBody, forceSimulation, forceX, forceY } from "d3-force";

const STEPS = 300;

/**
 * Find places for nodes.
 *
 * @param {{id: string}[]} nodes - They get `x` and `y`.
 * @param {{source: string, target: string}[]} links - By ids; afterwards `source` and `target` are the nodes.
 */
export function place(nodes, links) {
  forceSimulation(nodes)
    .force("link", forceLink(links).id((node) => node.id).distance(110))
    .force("charge", forceManyBody().strength(-350))
    .force("center", forceCenter())
    .force("x", forceX().strength(0.06))
    .force("y", forceY().strength(0.06))
    .stop()
    .tick(STEPS);
}
