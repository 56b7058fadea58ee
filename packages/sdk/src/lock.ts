import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { WeaveError } from '@weave/core';
import { isBusy } from './store.ts';

/**
 * Holds a file until it is let go of, or the process ends, however it does; WEAVE_ALREADY_RUNNING while another does.
 * By way of SQLite, as Node locks no files.
 */
export function lockFile(path: string): () => void {
  // Whoever may read it could hold it.
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
  const db = new DatabaseSync(path, { timeout: 0, open: false });
  try {
    db.open();
    db.exec('PRAGMA journal_mode=OFF; BEGIN EXCLUSIVE');
  } catch (error) {
    if (db.isOpen) db.close();
    if (isBusy(error))
      throw new WeaveError('WEAVE_ALREADY_RUNNING', `${path} is held by another weave daemon`, { cause: error });
    throw new WeaveError('WEAVE_STORE_FAILED', `cannot lock ${path}: ${(error as Error).message}`, { cause: error });
  }
  return () => {
    if (db.isOpen) db.close();
  };
}
