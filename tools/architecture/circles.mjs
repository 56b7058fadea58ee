/** The circles of a directed graph (Map of node → nodes): its strongly connected components (Tarjan) of more than one node. */
export function findCircles(graph) {
  const index = new Map();
  const low = new Map();
  const stack = [];
  const circles = [];

  const connect = (node) => {
    index.set(node, index.size);
    low.set(node, index.get(node));
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) {
        connect(next);
        low.set(node, Math.min(low.get(node), low.get(next)));
      } else if (stack.includes(next)) {
        low.set(node, Math.min(low.get(node), index.get(next)));
      }
    }
    if (low.get(node) !== index.get(node)) return;
    const component = stack.splice(stack.indexOf(node));
    if (component.length > 1 || graph.get(node)?.includes(node)) circles.push(component);
  };

  for (const node of graph.keys()) if (!index.has(node)) connect(node);
  return circles;
}
