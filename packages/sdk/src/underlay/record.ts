const WINDOW = 50;
/** So many in a row are lost, and for so long: there is no way any more. */
const MISSES = 4;
const SILENCE_MS = 1500;
/** How often what is lost is tried again before it is too large; more often where much is lost anyway. */
const TRIES = { least: 3, most: 10 };
const WAIT_MS = { least: 80, most: 1000 };

/** What the probes of a path tell of it. */
export class PathRecord {
  #probes: { arrived: boolean }[] = [];
  #smoothed: number | undefined;
  #least: number | undefined;
  #misses = 0;
  #missingAt = 0;
  #lost = 0;

  /** A probe goes out. Answers what to call when it is answered. */
  sent(): (rttMs: number) => void {
    const probe = { arrived: false };
    this.#probes.push(probe);
    if (this.#probes.length > WINDOW) this.#probes.shift();
    return (rttMs) => {
      probe.arrived = true;
      this.#least = Math.min(rttMs, this.#least ?? rttMs);
      this.#smoothed = this.#smoothed === undefined ? rttMs : this.#smoothed + (rttMs - this.#smoothed) / 8;
    };
  }

  /** What was lost while nothing arrived at all says nothing of the path that is there again. */
  begin(): void {
    this.#probes = [];
  }

  arrived(): void {
    this.#misses = 0;
  }

  missed(now: number): void {
    if (this.#misses++ === 0) this.#missingAt = now;
    this.#lost++;
  }

  isSilent(now: number): boolean {
    return this.#misses >= MISSES && now - this.#missingAt >= SILENCE_MS;
  }

  /** How long an answer may take: longer after each that did not come. */
  get waitMs(): number {
    const usual = this.#smoothed === undefined ? WAIT_MS.most : Math.max(WAIT_MS.least, 4 * this.#smoothed);
    return Math.min(WAIT_MS.most, usual * 1.5 ** this.#misses);
  }

  /** So many that all of them are lost by chance once in a thousand times. */
  get tries(): number {
    const loss = this.lossRatio;
    const wanted = loss > 0 && loss < 1 ? Math.ceil(Math.log(0.001) / Math.log(loss)) : TRIES.least;
    return Math.min(TRIES.most, Math.max(TRIES.least, wanted));
  }

  get lossRatio(): number {
    // The last may be on its way.
    const done = this.#probes.filter(({ arrived }, index) => arrived || index < this.#probes.length - 1);
    return done.length === 0 ? 0 : done.filter(({ arrived }) => !arrived).length / done.length;
  }

  get lost(): number {
    return this.#lost;
  }

  get rttMs(): number | undefined {
    return this.#smoothed;
  }

  get minRttMs(): number | undefined {
    return this.#least;
  }
}
