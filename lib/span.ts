const UNITS = [
  { name: "days", ms: 86_400_000 },
  { name: "h", ms: 3_600_000 },
  { name: "min", ms: 60_000 },
] as const;

/** Says a time in its largest unit of which it has two: "90 s", "5 min", "45 days". */
export const span = (ms: number): string => {
  const unit = UNITS.find((each) => ms >= 2 * each.ms);
  return unit ? `${Math.floor(ms / unit.ms)} ${unit.name}` : `${Math.floor(Math.max(0, ms) / 1000)} s`;
};
