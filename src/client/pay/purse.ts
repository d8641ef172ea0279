/** What remains of a budget. Money is set aside before it is paid, so that payments at the same time cannot overspend it. */

export class Purse {
  readonly budgetSats: number;
  #leftSats: number;

  constructor(budgetSats: number) {
    this.budgetSats = budgetSats;
    this.#leftSats = budgetSats;
  }

  get leftSats(): number {
    return this.#leftSats;
  }

  /** A budget that is no number holds nothing. */
  holds(sats: number): boolean {
    return sats <= this.#leftSats;
  }

  setAside(sats: number): void {
    this.#leftSats -= sats;
  }

  putBack(sats: number): void {
    this.#leftSats += sats;
  }
}
