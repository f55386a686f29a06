import type { Readable, Writable } from 'node:stream';

/** Keys, values and names: a string is its UTF-8. */
export type Bytes = string | Uint8Array;

/** What went wrong: sort by `kind`. The message says what to do; it shows no key, value, or name of a tenant. */
export class StrongroomError extends Error {
  private constructor();
  /** As in the documents: "Conflict", "NotFound", "KeyUnavailable"... */
  readonly kind: string;
  /** The number of the kind, the same in all languages. */
  readonly number: number;
  /** As Node's own errors have it: "STRONGROOM_CONFLICT". */
  readonly code: string;
  /** Whether the same call may succeed later without a person mending anything. */
  readonly retryable: boolean;
  /** The operating system's errno behind it, or 0. */
  readonly osCode: number;
}

/** When a record was written, in the order of its tenant's batches: first by timeline, then by sequence. */
export interface Version {
  readonly timeline: number;
  readonly sequence: number;
}

/** Times are milliseconds since the epoch. */
export interface RecordInfo {
  readonly version: Version;
  readonly writtenMs: number;
  readonly expiresMs: number | null;
  readonly valueSize: number;
}

/** A record of a scan; `value` is null where the scan is for keys only. */
export interface ScannedRecord extends RecordInfo {
  readonly key: Buffer;
  readonly value: Buffer | null;
}

export type Durability = 'durable' | 'buffered';

export interface PutOptions {
  /** Only where there is no such record; else kind "Conflict". */
  ifAbsent?: boolean;
  /** Only where the record has this version; else kind "Conflict". */
  ifVersion?: Version;
  durability?: Durability;
  /** Another time of writing than now. */
  writtenMs?: number;
  /** How long the record is kept. */
  ttlMs?: number;
  /** When it expires; not both. */
  expiresMs?: number;
  /** Whom the record is about. */
  subject?: string;
  /** All of the record's keys in indexes, by the index's name. */
  index?: { [name: string]: Bytes | Bytes[] };
  /** Whether it has a key of its own, so that its erasure reaches every copy; left out, as the policy says. */
  erasure?: 'shared' | 'record';
}

/** How long records are kept; what is left out is not limited. */
export interface Policy {
  /** That are put without a time of their own. */
  retentionMs?: number;
  /** Whatever their puts say. */
  maximumMs?: number;
  /** In which what was removed can be restored; left out, 30 days, or as the tenant's says. */
  removalWindowMs?: number;
  /** Before, a record can be neither erased, removed nor put over: kind "Held". */
  minimumMs?: number;
  /** As it was promised of what is removed; what does not leave the time for that is refused. */
  erasedWithinMs?: number;
  /** What becomes of a record that another is put over; left out, as the tenant's says, or 'erase'. */
  overwrite?: 'erase' | 'keep';
  /** Whether nothing exports the records; left out, as the tenant's says, or not. */
  secret?: boolean;
  /** Whether each record that is put gets a key of its own; left out, as the tenant's says, or 'shared'. */
  erasure?: 'shared' | 'record';
  /** Whether whatever is put is refused, but into a session, and what is there has expired; left out, as the tenant's says, or not. */
  zeroRetention?: boolean;
}

/** What was erased of a range, and what stays, because a hold covers it or the policy's minimum keeps it. */
export interface EraseReport {
  readonly records: number;
  readonly held: number;
}

/** What had expired and was removed, and what stays, because a hold covers it. */
export interface SweepReport {
  readonly records: number;
  readonly held: number;
}

/** What a hold covers, there or put later: of a collection all, the keys with a prefix, or one; or a subject; else all. */
export interface Selector {
  collection?: string;
  prefix?: Bytes;
  key?: Bytes;
  subject?: string;
}

export interface Hold {
  readonly name: string;
  readonly selector: Selector;
  readonly placedMs: number;
}

/** A record that was put with a subject. */
export interface SubjectRecord extends RecordInfo {
  readonly collection: string;
  readonly key: Buffer;
}

/** An entry of a tenant's erasure ledger; `mac` chains it to all before. */
export interface LedgerEntry {
  readonly number: number;
  readonly atMs: number;
  /** Whose keys were destroyed; a receipt; or that the sealed bytes were removed. */
  readonly event:
    'structure key' | 'data key' | 'period key' | 'subject key' | 'tenant' | 'receipt' | 'scrubbed' | 'unknown';
  /** Of the key that was destroyed. */
  readonly slot: number | null;
  /** Of a receipt and a scrub: the last change that is covered. */
  readonly through: Version | null;
  readonly mac: Buffer;
}

/** A receipt for what was erased. By the deadline the sealed bytes are in no file; `scrubbedMs` says since when. */
export interface Receipt {
  readonly number: number;
  readonly erasedMs: number;
  readonly through: Version;
  readonly deadlineMs: number;
  readonly scrubbedMs: number | null;
}

/** By when what is erased now can't be read any more in copies: of the data, and of the data with the key store. */
export interface Horizon {
  readonly dataCopiesMs: number;
  readonly keyCopiesMs: number;
}

/** How much a tenant or a collection may hold; what is left out is not limited. */
export interface Quota {
  records?: number;
  /** Of keys and values. */
  bytes?: number;
}

/** Records, and bytes of their keys and values. What has expired counts until it is swept. */
export interface Usage {
  readonly records: number;
  readonly bytes: number;
}

export interface DataKey {
  readonly generation: number;
  readonly state: 'current' | 'older' | 'destroyed';
  readonly createdMs: number;
  /** At least. */
  readonly recordsSealed: number;
}

export interface RekeyOptions {
  /** Ends after so many records were sealed anew; called again it goes on. */
  records?: number;
  recordsPerSecond?: number;
  /** Ends once so many bytes of values were. */
  bytes?: number;
  bytesPerSecond?: number;
}

/** By when nothing is to be under a data key, or an older one; `metMs`: since when that is so. */
export interface RekeyDeadline {
  readonly generation: number;
  readonly byMs: number;
  readonly metMs: number | null;
}

/** What the application of policies did. */
export interface Applied {
  readonly records: number;
  /** That got other times. */
  readonly changed: number;
  /** That should stay longer and can't: their values lie in chunks under the key of a period. */
  readonly large: number;
  readonly unreadable: number;
  readonly complete: boolean;
}

export interface Rekey {
  readonly generation: number;
  readonly records: number;
  readonly resealed: number;
  readonly overtaken: number;
  /** Records in chunks, which stay under the key they were put under. */
  readonly large: number;
  readonly unreadable: number;
  readonly complete: boolean;
}

export interface IndexInfo {
  readonly name: string;
  readonly unique: boolean;
  /** Whether it can be searched; else it has to be built. */
  readonly ready: boolean;
  readonly createdMs: number;
}

export interface RegionInfo {
  readonly name: string;
  readonly root: string;
  readonly keys: string;
  /** Why its tenants can't be reached now. */
  readonly problem: string | null;
}

/** A journal: what it holds, and counts since it was opened. */
export interface LaneInfo {
  readonly region: string;
  readonly id: string;
  readonly segments: number;
  readonly segmentBytes: number;
  readonly pendingBytes: number;
  readonly pendingTenants: number;
  readonly batches: number;
  readonly changes: number;
  readonly writtenBytes: number;
  readonly syncs: number;
  readonly syncMicros: number;
  readonly damaged: number;
}

export interface ReadStreamOptions {
  /** The first byte. */
  start?: number;
  /** Before this byte. */
  end?: number;
  highWaterMark?: number;
}

export interface EraseOptions {
  /** Only where the record has this version; else kind "Conflict". */
  ifVersion?: Version;
}

export interface CountOptions {
  /** Keys from this one on. */
  from?: Bytes;
  /** Keys before this one. */
  to?: Bytes;
  prefix?: Bytes;
  limit?: number;
}

export interface ScanOptions extends CountOptions {
  reverse?: boolean;
  keysOnly?: boolean;
  /** Goes on behind a cursor. */
  after?: Uint8Array;
  /** Values of so many records are opened before they are asked for, in a thread of the scan's own. */
  openAhead?: number;
}

export interface Page {
  readonly records: ScannedRecord[];
  /** Where the next page begins; null where nothing comes behind this one. */
  readonly cursor: Buffer | null;
}

/** A record that was removed and can be restored until `erasedFromMs`. */
export interface Removed extends RecordInfo {
  readonly key: Buffer;
  readonly removedMs: number;
  readonly erasedFromMs: number;
}

export interface KeyFile {
  keyFile: string;
  /** Accepts a file that its group may read (mode 0640). */
  groupRead?: boolean;
}

/** Stretched by Argon2id. */
export interface Passphrase {
  passphrase: Bytes;
  memoryKib?: number;
  passes?: number;
  lanes?: number;
}

/** What a wrapped key belongs to; bind it to the wrapped key, so that a moved one does not unwrap. */
export interface WrapContext {
  readonly storeId: Buffer;
  readonly tenantId: Buffer;
  /** 1: what maintenance needs. 2: what values need. */
  readonly section: 1 | 2;
  /** All of it. */
  readonly bytes: Buffer;
}

/** Thrown by a provider that will not: wrong key, no permission. The text must hold no secret. */
export class ProviderDenied extends Error {}
/** Thrown by a provider that could not be asked. The text must hold no secret. */
export class ProviderRetryable extends Error {}
/** Thrown by a provider's `create` for what is there already. */
export class ProviderAlreadyExists extends Error {}

/**
 * A KMS or an HSM. Any other error counts as denied. Its functions are called on the thread that opened the store, from the event
 * loop or within a call; where they give promises, the calls that need keys must give promises too: one that does not is
 * answered as by a provider that could not be asked ("KeyUnavailable", `retryable`), after a second.
 */
export interface KeyProvider {
  /** Makes what the provider keeps, when a store is created. */
  create?(): void | Promise<void>;
  /** Wraps a key of 32 bytes, which is wiped afterwards; the result has 1 to 1,024 bytes. */
  wrap(key: Buffer, context: WrapContext): Uint8Array | Promise<Uint8Array>;
  /** Unwraps what `wrap` gave for the same context, and nothing else. */
  unwrap(wrapped: Buffer, context: WrapContext): Uint8Array | Promise<Uint8Array>;
}

export type Provider = KeyFile | Passphrase | KeyProvider;

export interface Region {
  root: string;
  keys?: string;
}

/** Sizes in bytes, times in milliseconds; what is left out is the library's default. */
export interface StoreOptions {
  /** The key provider of new tenants, or several by name. */
  keys: Provider | { [name: string]: Provider };
  keyStore?: string;
  regions?: { [name: string]: Region };
  cacheBytes?: number;
  memtableBytes?: number;
  memoryBytes?: number;
  segmentBytes?: number;
  journalBytes?: number;
  totalCacheBytes?: number;
  openTenants?: number;
  bufferedWithinMs?: number;
  checkpointAgeMs?: number;
  closeBudgetMs?: number;
  sweepIntervalMs?: number;
  clockStepMs?: number;
  erasurePeriodMs?: number;
  rotateAfterMs?: number;
  rotateAfterRecords?: number;
  /** Within which time the sealed bytes of what was erased leave every file. */
  scrubWithinMs?: number;
  /** How long copies of the key store are kept, for the horizon. */
  keyCopiesKeptMs?: number;
  /** How long a call of a key provider is waited for. */
  keyTimeoutMs?: number;
  /** How long keys are good before their provider is asked again, and how much longer while it can't be reached. */
  keysGoodForMs?: number;
  keysGraceMs?: number;
  /** A file (TOML) with such settings, over which these options go. */
  settings?: string;
  durability?: Durability;
  fullFreshness?: boolean;
  /** false: the application calls `tickSync` now and then. */
  background?: boolean;
  acceptRollback?: boolean;
  /**
   * Opens the store for maintenance: no provider is asked for a key of values; records are neither read nor written
   * ("KeyUnavailable"); it is verified, but for values, checkpointed, rewritten, moved and swept. With 'digests', which calls take in
   * place of a tenant's name, no name is shown.
   */
  maintenance?: 'digests' | 'names';
}

export interface TenantOptions {
  region?: string;
  /** With a journal of its own. */
  dedicated?: boolean;
  policy?: Policy;
}

export interface TenantInfo {
  readonly name: string;
  readonly id: string;
  readonly region: string;
  readonly dedicated: boolean;
  readonly createdMs: number;
  readonly state: 'active' | 'suspended' | 'removed';
  /** From when on a sweep erases it, where it was removed. */
  readonly purgeMs: number | null;
}

/** Sizes in bytes, and counts. */
export interface TenantStats {
  readonly records: number;
  readonly collections: number;
  readonly fileBytes: number;
  readonly journalBytes: number;
  readonly keyStoreBytes: number;
  readonly version: Version;
}

/** Changes of a journal that count, and those that are lost. */
export interface Salvage {
  readonly changes: number;
  readonly changesLost: number;
}

export interface CollectionInfo {
  readonly name: string;
  readonly createdMs: number;
}

export interface Report {
  readonly isGood: boolean;
  readonly tenants: number;
  readonly records: number;
  readonly recordsBad: number;
  /** Whose value was not opened, because the store is open for maintenance. */
  readonly recordsUnopened: number;
  readonly blocks: number;
  readonly blocksBad: number;
  readonly unknownFiles: number;
  readonly problems: string[];
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** A line of the log; it shows no key, value, or name of a tenant. */
export interface LogLine {
  readonly level: LogLevel;
  readonly target: string;
  readonly text: string;
}

/** Has the log of all stores of the process given to a function, up to the level, or to none; instead of the one before. */
export function setLog(log: ((line: LogLine) => void) | null, level?: LogLevel): void;

/** An open store. One process has it open at a time. */
export class Store {
  private constructor();
  /** Creates a store, its key store, and what its key provider keeps. */
  static create(path: string, options: StoreOptions): Promise<Store>;
  static createSync(path: string, options: StoreOptions): Store;
  /** Opens a store; never creates one. */
  static open(path: string, options: StoreOptions): Promise<Store>;
  static openSync(path: string, options: StoreOptions): Store;
  /** What the process that has a store open published of its health. Needs no key; nothing vouches for it. */
  static publishedHealthSync(path: string): { health: { [name: string]: unknown }; ageMs: number };
  createTenant(name: string, options?: TenantOptions): Promise<Tenant>;
  createTenantSync(name: string, options?: TenantOptions): Tenant;
  tenant(name: string): Promise<Tenant>;
  tenantSync(name: string): Tenant;
  readonly id: string;
  /** Ordered by name; none is opened. */
  tenants(): TenantInfo[];
  tenantInfo(name: string): TenantInfo;
  tenantStats(name: string): TenantStats;
  /** Accepts that a tenant's data is older than the key store says: what was acknowledged later is gone. */
  acceptRollback(tenant: string): Promise<void>;
  acceptRollbackSync(tenant: string): void;
  /** Opens a tenant with what can be read of its damaged journal; what is lost is lost. */
  salvage(tenant: string): Promise<Salvage>;
  salvageSync(tenant: string): Salvage;
  /** From then on every read and write of its records is kind "Suspended". */
  suspendTenant(name: string): Promise<void>;
  suspendTenantSync(name: string): void;
  resumeTenant(name: string): Promise<void>;
  resumeTenantSync(name: string): void;
  /** Its id, data and keys stay as they are, and so do objects of it. */
  renameTenant(from: string, to: string): Promise<void>;
  renameTenantSync(from: string, to: string): void;
  /** Gone at once, and restorable within the window, 30 days unless given; when a sweep erases it. */
  removeTenant(name: string, windowMs?: number): Promise<number>;
  removeTenantSync(name: string, windowMs?: number): number;
  restoreTenant(name: string): Promise<void>;
  restoreTenantSync(name: string): void;
  /** For good: its keys are destroyed, then its files. */
  eraseTenant(name: string): Promise<void>;
  eraseTenantSync(name: string): void;
  /** To another region; open it again then. Whoever overrides its residency has asked whose data it is. */
  moveTenant(name: string, region: string, options?: { overrideResidency?: boolean }): Promise<void>;
  moveTenantSync(name: string, region: string, options?: { overrideResidency?: boolean }): void;
  /** Seals a tenant's keyring under new section keys, so that leaked ones open nothing; open the tenant again then. */
  renewSectionKeys(tenant: string): Promise<void>;
  renewSectionKeysSync(tenant: string): void;
  /** Has every tenant's keys wrapped by one provider that another wraps, or the same anew; how many. */
  rewrap(from: string, to: string): Promise<number>;
  rewrapSync(from: string, to: string): number;
  regions(): RegionInfo[];
  /** The journals that are open. */
  lanes(): LaneInfo[];
  /** How many tenants are open. */
  openTenants(): number;
  /** Trusts what the clock says now, after it jumped. */
  confirmClock(): Promise<void>;
  confirmClockSync(): void;
  /** Verifies everything, or one tenant. Damage stands in the report. */
  verify(tenant?: string): Promise<Report>;
  verifySync(tenant?: string): Report;
  /** Removes what has expired from the files, of all tenants or one. */
  sweep(tenant?: string): Promise<SweepReport>;
  sweepSync(tenant?: string): SweepReport;
  /** How the store does; it may be asked each second. It names tenants by their ids. */
  health(): { [name: string]: unknown };
  /** Makes everything durable that was written as buffered. */
  flush(): Promise<void>;
  flushSync(): void;
  tickSync(): void;
  checkpoint(): Promise<void>;
  checkpointSync(): void;
  /** Waits for what is under way and closes the store, and everything that came from it. Again is fine. */
  close(): Promise<void>;
  closeSync(): void;
}

/** A tenant: the one way to its data. */
export class Tenant {
  private constructor();
  /** What files, logs and errors call it. */
  readonly id: string;
  readonly name: string;
  stats(): TenantStats;
  /** Makes everything durable that was written as buffered. */
  flush(): Promise<void>;
  flushSync(): void;
  checkpoint(): Promise<void>;
  checkpointSync(): void;
  /** A collection by name; the first put into it creates it. */
  collection(name: string): Collection;
  collections(): CollectionInfo[];
  createCollection(name: string): Promise<void>;
  createCollectionSync(name: string): void;
  dropCollection(name: string): Promise<void>;
  dropCollectionSync(name: string): void;
  renameCollection(from: string, to: string): Promise<void>;
  renameCollectionSync(from: string, to: string): void;
  policySync(): Policy;
  setPolicy(policy: Policy): Promise<void>;
  setPolicySync(policy: Policy): void;
  quotaSync(): Quota;
  setQuota(quota: Quota): Promise<void>;
  setQuotaSync(quota: Quota): void;
  /** What it holds, exactly. */
  usage(): Promise<Usage>;
  usageSync(): Usage;
  /** The oldest first. */
  dataKeys(): DataKey[];
  /** Makes a new data key for new records; its generation. The store does it by itself by age and count. */
  rotateDataKey(): Promise<number>;
  rotateDataKeySync(): number;
  /** Seals records anew that are under an older data key. */
  rekey(options?: RekeyOptions): Promise<Rekey>;
  rekeySync(options?: RekeyOptions): Rekey;
  /** Has maintenance rekey by and by, so that nothing is under a generation, or an older one, by then. */
  setRekeyDeadline(generation: number, byMs: number): Promise<void>;
  setRekeyDeadlineSync(generation: number, byMs: number): void;
  clearRekeyDeadline(): Promise<void>;
  clearRekeyDeadlineSync(): void;
  readonly rekeyDeadline: RekeyDeadline | null;
  /** Applies policies that were changed to the records that are there; the sweep does so by and by. */
  applyPolicies(options?: RekeyOptions): Promise<Applied>;
  applyPoliciesSync(options?: RekeyOptions): Applied;
  /** Since when there is a policy that is not applied yet to all of them. */
  readonly policiesPendingSinceMs: number | null;
  /** Destroys a data key that no record is under; kind "Conflict" where some are. */
  retireDataKey(generation: number): Promise<void>;
  retireDataKeySync(generation: number): void;
  /** The subjects that records were put with and that were not erased, ordered by name. */
  subjects(): string[];
  /** The records that were put with a subject, over all collections, by collection and key. */
  subjectRecords(subject: string): Promise<SubjectRecord[]>;
  subjectRecordsSync(subject: string): SubjectRecord[];
  /** Destroys a subject's key, and with it every value put about it, then its records; whether there was one. */
  eraseSubject(subject: string): Promise<boolean>;
  eraseSubjectSync(subject: string): boolean;
  /** From then on nothing is erased that the hold covers, whatever asks for it: kind "Held". Of all, unless said otherwise. */
  hold(name: string, selector?: Selector): Promise<void>;
  holdSync(name: string, selector?: Selector): void;
  /** What is overdue and no other hold covers goes with the next sweep. */
  releaseHold(name: string): Promise<void>;
  releaseHoldSync(name: string): void;
  /** Ordered by name. */
  holds(): Hold[];
  /** The oldest first, each authenticated. */
  ledger(): LedgerEntry[];
  /** Writes a receipt into the ledger, for everything that was erased until now. */
  receipt(): Promise<Receipt>;
  receiptSync(): Receipt;
  receipts(): Receipt[];
  /** Removes the sealed bytes of what was erased; the last change that was covered. The sweep does it by the deadline. */
  scrub(): Promise<Version>;
  scrubSync(): Version;
  horizon(): Horizon;
  /** The name of the key provider that wraps its keys. */
  readonly keyProvider: string;
  /** Has its keys wrapped anew, by the provider that wraps them, or by another one. */
  rewrap(provider?: string): Promise<void>;
  rewrapSync(provider?: string): void;
  /** Records that nothing retains. */
  session(): Session;
  batch(): Batch;
  /** The tenant as it is now, over all of its collections. Close it soon. */
  snapshot(): Snapshot;
  /** Compacts the tenant's file under a new structure key; false where it has no file yet. */
  rewrite(): Promise<boolean>;
  rewriteSync(): boolean;
}

/** A collection: records in the order of their keys. */
export class Collection implements Iterable<ScannedRecord>, AsyncIterable<ScannedRecord> {
  private constructor();
  get(key: Bytes): Promise<Buffer | null>;
  getSync(key: Bytes): Buffer | null;
  /** Copies a value into a buffer, unless it is longer; its length, or null where there is no such record. */
  getIntoSync(key: Bytes, buffer: Uint8Array): number | null;
  /** Durable when it resolves. Takes no thread: many may be under way, and share one write and one sync. */
  put(key: Bytes, value: Bytes, options?: PutOptions): Promise<Version>;
  putSync(key: Bytes, value: Bytes, options?: PutOptions): Version;
  /** Whether there was such a record. */
  erase(key: Bytes, options?: EraseOptions): Promise<boolean>;
  eraseSync(key: Bytes, options?: EraseOptions): boolean;
  eraseRange(from?: Bytes, to?: Bytes): Promise<EraseReport>;
  eraseRangeSync(from?: Bytes, to?: Bytes): EraseReport;
  erasePrefix(prefix: Bytes): Promise<EraseReport>;
  erasePrefixSync(prefix: Bytes): EraseReport;
  /** Readers do not find it any more, and it can be restored until its removal window is over. Whether there was one. */
  remove(key: Bytes, options?: EraseOptions): Promise<boolean>;
  removeSync(key: Bytes, options?: EraseOptions): boolean;
  /** How many there were. */
  removeRange(from?: Bytes, to?: Bytes): Promise<number>;
  removeRangeSync(from?: Bytes, to?: Bytes): number;
  removePrefix(prefix: Bytes): Promise<number>;
  removePrefixSync(prefix: Bytes): number;
  /** The one that was removed last, or that had a version. Whether there was one. */
  restore(key: Bytes, options?: { version?: Version }): Promise<boolean>;
  restoreSync(key: Bytes, options?: { version?: Version }): boolean;
  /** How many. */
  restoreRange(from?: Bytes, to?: Bytes): Promise<number>;
  restoreRangeSync(from?: Bytes, to?: Bytes): number;
  restorePrefix(prefix: Bytes): Promise<number>;
  restorePrefixSync(prefix: Bytes): number;
  /** What was removed and can be restored, and the cursor of the next page. */
  removedSync(options?: CountOptions & { after?: Uint8Array }): { records: Removed[]; cursor: Buffer | null };
  info(key: Bytes): Promise<RecordInfo | null>;
  infoSync(key: Bytes): RecordInfo | null;
  count(options?: CountOptions): Promise<number>;
  countSync(options?: CountOptions): number;
  scan(options?: ScanOptions): Scan;
  /** At most `size` bytes of a value from `offset` on, as far as it goes; at most 64 MiB. */
  getRange(key: Bytes, offset: number, size: number): Promise<Buffer | null>;
  getRangeSync(key: Bytes, offset: number, size: number): Buffer | null;
  getReader(key: Bytes): Promise<Reader | null>;
  getReaderSync(key: Bytes): Reader | null;
  /** A value of any length; the stream fails with kind "NotFound" where there is no such record. */
  createReadStream(key: Bytes, options?: ReadStreamOptions): Readable;
  /** Puts its record when it ends, all of it or nothing; destroyed before, it puts nothing. Up to 1 TiB. */
  createWriteStream(key: Bytes, options?: PutOptions): Writable & { readonly version: Version | null };
  /** Puts what a stream, or any async iterable of bytes, gives until it ends. */
  putStream(key: Bytes, source: Readable | AsyncIterable<Uint8Array>, options?: PutOptions): Promise<Version>;
  /** Begins to put a value in parts; conditions are looked at when it is published. */
  beginUploadSync(key: Bytes, options?: PutOptions): Upload;
  /** Goes on with an upload, in another process too: its `durableBytes` say from where in the value. */
  resumeUpload(id: Uint8Array): Promise<Upload>;
  resumeUploadSync(id: Uint8Array): Upload;
  indexes(): IndexInfo[];
  /** Gives records that were there before an index their keys in it; how many got some. On this thread: it calls `keysOf`. */
  buildIndexSync(name: string, keysOf: (record: ScannedRecord) => Bytes | Bytes[]): number;
  /** As `buildIndexSync`, on another thread, which asks this one for the keys of each record: others go on in between. */
  buildIndex(name: string, keysOf: (record: ScannedRecord) => Bytes | Bytes[]): Promise<number>;
  /** From then on puts may give records keys in it; a second record with a key in a unique one is kind "Conflict". */
  declareIndex(name: string, options?: { unique?: boolean }): Promise<void>;
  declareIndexSync(name: string, options?: { unique?: boolean }): void;
  dropIndex(name: string): Promise<void>;
  dropIndexSync(name: string): void;
  /** The records that have a key in an index. */
  find(index: string, key: Bytes): Scan;
  /** The records whose keys in an index lie in a range, in the order of these keys. */
  findRange(index: string, options?: CountOptions & { reverse?: boolean }): Scan;
  /** What the collection overrides of its tenant's policy. */
  policySync(): Policy;
  setPolicy(policy: Policy): Promise<void>;
  setPolicySync(policy: Policy): void;
  quotaSync(): Quota;
  setQuota(quota: Quota): Promise<void>;
  setQuotaSync(quota: Quota): void;
  /** What it holds, exactly. */
  usage(): Promise<Usage>;
  usageSync(): Usage;
  /** At most `limit` records, and the cursor of the next page. */
  pageSync(limit: number, options?: ScanOptions): Page;
  [Symbol.iterator](): Iterator<ScannedRecord>;
  [Symbol.asyncIterator](): AsyncIterator<ScannedRecord>;
}

/** A value of any length, read in parts: as it was when the reader was made. Close it soon. */
export class Reader {
  private constructor();
  readonly info: RecordInfo;
  /** Fewer bytes than asked for only at the value's end. */
  readAt(offset: number, size: number): Promise<Buffer>;
  readAtSync(offset: number, size: number): Buffer;
  close(): void;
}

/** A large value on its way into the store, in any number of sessions: what is durable stays for 24 hours. */
export class Upload {
  private constructor();
  /** What it is resumed by. */
  readonly id: Buffer;
  /** Bytes from the beginning of the value that are on the disk. */
  readonly durableBytes: number;
  /** At most 64 MiB at once; one after the other. */
  write(bytes: Bytes): Promise<void>;
  writeSync(bytes: Bytes): void;
  /** Makes all bytes durable that were written. */
  flush(): Promise<void>;
  flushSync(): void;
  /** Makes the value the record's, all of it or nothing. The upload is over. */
  publish(): Promise<Version>;
  publishSync(): Version;
  /** Gives it up. */
  discard(): Promise<void>;
  discardSync(): void;
  /** Leaves it as it is, to be resumed. */
  close(): void;
}

/** Records as they were when the scan began; closed at the end of a loop over it. */
export class Scan implements Iterable<ScannedRecord>, AsyncIterable<ScannedRecord> {
  private constructor();
  cursor(): Buffer | null;
  close(): void;
  /** As the iterator, without closing the scan at the end. */
  records(): Generator<ScannedRecord>;
  [Symbol.iterator](): Iterator<ScannedRecord>;
  [Symbol.asyncIterator](): AsyncIterator<ScannedRecord>;
}

/** Changes of one tenant that are made together or not at all. Empty after it was written. */
export class Batch {
  private constructor();
  put(collection: Collection, key: Bytes, value: Bytes, options?: PutOptions): this;
  erase(collection: Collection, key: Bytes, options?: EraseOptions): this;
  /** Of what is there now: changed until the batch is made, that is kind "Conflict". */
  remove(collection: Collection, key: Bytes, options?: EraseOptions): this;
  restore(collection: Collection, key: Bytes, options?: { version?: Version }): this;
  /** Makes it depend on a record's version, or with null on its absence; else kind "Conflict". */
  require(collection: Collection, key: Bytes, version: Version | null): this;
  readonly length: number;
  write(): Promise<Version>;
  writeSync(): Version;
}

/** A tenant at one moment, over all of its collections. */
export class Snapshot {
  private constructor();
  get(collection: Collection, key: Bytes): Promise<Buffer | null>;
  getSync(collection: Collection, key: Bytes): Buffer | null;
  info(collection: Collection, key: Bytes): Promise<RecordInfo | null>;
  infoSync(collection: Collection, key: Bytes): RecordInfo | null;
  count(collection: Collection, options?: CountOptions): Promise<number>;
  countSync(collection: Collection, options?: CountOptions): number;
  readonly version: Version;
  collections(): CollectionInfo[];
  getReader(collection: Collection, key: Bytes): Promise<Reader | null>;
  createReadStream(collection: Collection, key: Bytes, options?: ReadStreamOptions): Readable;
  scan(collection: Collection, options?: ScanOptions): Scan;
  close(): void;
}

/** Records that can be read through this object alone, are in no file, and are wiped from memory when it is closed. */
export class Session {
  private constructor();
  put(collection: Collection, key: Bytes, value: Bytes): this;
  get(collection: Collection, key: Bytes): Buffer | null;
  /** Whether there was such a record. */
  erase(collection: Collection, key: Bytes): boolean;
  /** Those from one key on and before another, in order. */
  scan(collection: Collection, from?: Bytes, to?: Bytes): { key: Buffer; value: Buffer }[];
  /** How many records it has, of all collections. */
  readonly size: number;
  close(): void;
}
