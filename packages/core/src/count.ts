/** How many there are of each, by key; who has none is not there. */
export function count(index: Map<string, Map<string, number>>, key: string, id: string, enter: boolean): void {
  const counts = index.get(key) ?? new Map<string, number>();
  const sum = (counts.get(id) ?? 0) + (enter ? 1 : -1);
  if (sum > 0) counts.set(id, sum);
  else counts.delete(id);
  if (counts.size > 0) index.set(key, counts);
  else index.delete(key);
}
