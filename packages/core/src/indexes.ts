/** How many there are of each, by key; who has none is not there. */
export function count(index: Map<string, Map<string, number>>, key: string, id: string, enter: boolean): void {
  const counts = index.get(key) ?? new Map<string, number>();
  const sum = (counts.get(id) ?? 0) + (enter ? 1 : -1);
  if (sum > 0) counts.set(id, sum);
  else counts.delete(id);
  if (counts.size > 0) index.set(key, counts);
  else index.delete(key);
}

/** The last that came has it. */
export function own(index: Map<string, string>, key: string, id: string, enter: boolean): void {
  if (enter) index.set(key, id);
  else if (index.get(key) === id) index.delete(key);
}

/** All that have it, by key; what nobody has is not there. */
export function mark(index: Map<string, Set<string>>, key: string, id: string, enter: boolean): void {
  const ids = index.get(key);
  if (enter) {
    if (ids) ids.add(id);
    else index.set(key, new Set([id]));
  } else if (ids?.delete(id) && ids.size === 0) index.delete(key);
}
