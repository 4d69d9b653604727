/** Forgets what was put first into a map or set that is larger than `max` by one. */
export const forgetOldest = <K>(entries: Map<K, unknown> | Set<K>, max: number): void => {
  if (entries.size > max) entries.delete(entries.keys().next().value!);
};

/** Puts an entry last into a map of at most `max`, wherever it stood before; the first is forgotten for it. */
export const putNewest = <K, V>(map: Map<K, V>, key: K, value: V, max: number): V => {
  map.delete(key);
  map.set(key, value);
  forgetOldest(map, max);
  return value;
};
