import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { asWeaveError, type Change, type HostStore, isFileLimit, TABLES, WeaveError } from '@weave/core';

/** "weav": tells our file from any other SQLite database. */
const APPLICATION_ID = 0x77656176;
const SCHEMA = 1;

/** A file that was there and could not be used: where it is now, and why. */
export interface SetAside {
  path: string;
  reason: string;
}

export interface OpenedStore {
  store: HostStore;
  setAside?: SetAside;
}

/**
 * The records of this host in one SQLite file. Every append is one transaction, on disk before it returns. The file is
 * locked for as long as it is open: a second opener gets WEAVE_STORE_LOCKED. A file that is corrupt, foreign or from
 * a later version is moved beside and a new one begun.
 */
export function openStore(path: string): OpenedStore {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return openOrBegin(path);
  } catch (error) {
    throw error instanceof WeaveError ? error : failed('open', path, error);
  }
}

function openOrBegin(path: string): OpenedStore {
  try {
    return { store: openDatabase(path) };
  } catch (error) {
    if (!isUnusable(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const setAside = { path: `${path}.unusable-${Date.now()}`, reason };
    for (const suffix of ['', '-wal', '-journal'])
      if (existsSync(path + suffix)) renameSync(path + suffix, setAside.path + suffix);
    return { store: openDatabase(path), setAside };
  }
}

/** The file's own fault; anything else, such as a disk that is full or cannot be read now, may pass. */
class Unusable extends Error {}
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;
const isUnusable = (error: unknown) =>
  error instanceof Unusable || [SQLITE_CORRUPT, SQLITE_NOTADB].includes(errcode(error) ?? 0);

function failed(what: string, path: string, error: unknown): WeaveError {
  if (isFileLimit(error)) return asWeaveError(error);
  const code = (error as NodeJS.ErrnoException).code === 'EACCES' ? 'WEAVE_PERMISSION_DENIED' : 'WEAVE_STORE_FAILED';
  const why = error instanceof Error ? error.message : error;
  return new WeaveError(code, `cannot ${what} ${path}: ${why}`, { cause: error });
}

function openDatabase(path: string): HostStore {
  // Made with these rights: SQLite's own files beside it get the same.
  closeSync(openSync(path, 'a', 0o600));
  const db = new DatabaseSync(path, { timeout: 0 });
  try {
    lock(db, path);
    adopt(db);
    growLog(db, path);
  } catch (error) {
    db.close();
    throw error;
  }
  return storeOver(db, path);
}

function lock(db: DatabaseSync, path: string): void {
  try {
    // Exclusive before WAL: the lock is held from the first read until close, and there is no shared-memory file.
    db.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; BEGIN EXCLUSIVE; COMMIT');
  } catch (error) {
    if (!isBusy(error)) throw error;
    throw new WeaveError('WEAVE_STORE_LOCKED', `${path} is in use by another weave daemon`, { cause: error });
  }
}

function adopt(db: DatabaseSync): void {
  const pragma = (name: string) => Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
  const isNew = Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n) === 0;
  if (isNew) {
    db.exec(`PRAGMA application_id=${APPLICATION_ID}; PRAGMA user_version=${SCHEMA};
      CREATE TABLE record (kind TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID`);
    return;
  }
  if (pragma('application_id') !== APPLICATION_ID) throw new Unusable('it is not a weave database');
  if (pragma('user_version') !== SCHEMA)
    throw new Unusable(`it has schema ${pragma('user_version')}; this version knows ${SCHEMA}`);
  const check = String(Object.values(db.prepare('PRAGMA quick_check(1)').get() ?? {})[0]);
  if (check !== 'ok') throw new Unusable(check);
}

/** Where there is less room on the disk than this, others may need it. */
const SPARE = 64 * 1024 * 1024;

/**
 * Where the write-ahead log has been before, an append's fsync has no file size to write as well, which halves its
 * time. So the log is made as large as it gets between two checkpoints (1,000 pages), by pages that spill out of the
 * cache and then are not committed.
 */
function growLog(db: DatabaseSync, path: string): void {
  const { bavail, bsize } = statfsSync(path);
  if (bavail * bsize < SPARE) return;
  try {
    db.exec("BEGIN; INSERT INTO record (kind, id, value) VALUES ('', '', zeroblob(7000000))");
  } catch {
    // A full disk: it is slower then.
  }
  if (db.isTransaction) db.exec('ROLLBACK');
}

function storeOver(db: DatabaseSync, path: string): HostStore {
  const put = db.prepare('INSERT OR REPLACE INTO record (kind, id, value) VALUES (?, ?, ?)');
  const remove = db.prepare('DELETE FROM record WHERE kind = ? AND id = ?');
  const select = db.prepare('SELECT id, value FROM record WHERE kind = ?');
  const { dev, ino } = statSync(path);
  const isThere = () => {
    const found = statSync(path, { throwIfNoEntry: false });
    return found?.ino === ino && found.dev === dev;
  };
  const removed = () =>
    new WeaveError('WEAVE_STORE_FAILED', `${path} was removed, or replaced`, {
      hint: 'Start weave again: its records are built anew from the kernel and the engine.',
    });
  let isDurable = false;
  return {
    load() {
      if (!isThere()) throw removed();
      return TABLES.flatMap((table) =>
        select
          .all(table)
          .map((row) => ({ table, id: String(row.id), record: JSON.parse(String(row.value)) }) as Change),
      );
    },
    append(changes) {
      if (changes.length === 0) return;
      // What is written to a removed file is lost, however durably.
      if (!isThere()) throw removed();
      try {
        if (!isDurable) copyLog(db);
        isDurable = true;
        db.exec('BEGIN');
        for (const { table, id, record } of changes)
          if (record === null) remove.run(table, id);
          else put.run(table, id, JSON.stringify(record));
        db.exec('COMMIT');
      } catch (error) {
        if (db.isTransaction) db.exec('ROLLBACK');
        writeOver(db);
        throw failed('write', path, error);
      }
    },
    erase() {
      for (const suffix of ['', '-wal', '-journal']) rmSync(path + suffix, { force: true });
    },
    close: () => db.close(),
  };
}

/**
 * Where fsync fails, the kernel keeps what was written in its page cache, as if it were on disk. A daemon that finds the
 * log of one that was killed then cannot tell, and what it appends would be lost with what is before it. So the log is
 * copied into the file, and that made durable.
 */
function copyLog(db: DatabaseSync): void {
  db.exec('PRAGMA wal_checkpoint');
}

/**
 * What was written to the log and could not be made durable is still there for whoever opens the file next. So something
 * is written in its place that changes nothing; that it is not durable either does not matter.
 */
function writeOver(db: DatabaseSync): void {
  try {
    db.exec(`PRAGMA user_version=${SCHEMA}`);
  } catch {
    // As expected.
  }
}

const SQLITE_BUSY = 5;
export const isBusy = (error: unknown): boolean => errcode(error) === SQLITE_BUSY;

const errcode = (error: unknown): number | undefined =>
  typeof error === 'object' && error !== null && 'errcode' in error ? Number(error.errcode) & 0xff : undefined;
