/** An amount that many share: bytes held, things remembered. */
export interface Budget {
  /** Takes an amount; false where so much is not left. */
  take(amount: number): boolean;
  /** Gives back what was taken. */
  give(amount: number): void;
  readonly left: number;
}

/** Makes a budget of an amount. */
export const createBudget = (amount: number): Budget => {
  let left = amount;
  return {
    take: (wanted) => {
      if (wanted > left) return false;
      left -= wanted;
      return true;
    },
    give: (back) => {
      left += back;
    },
    get left() {
      return left;
    },
  };
};
