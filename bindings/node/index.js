// Strongroom for Node: stores, tenants, collections, batches, snapshots, scans and streams over the native half.
'use strict';

const { pipeline } = require('node:stream/promises');

const native = require('./build/strongroom.node');
const { PutStream, ValueStream } = require('./streams');

class StrongroomError extends Error {
  constructor(message, kind, number, retryable, osCode) {
    super(message);
    this.kind = kind;
    this.number = number;
    this.retryable = retryable;
    this.osCode = osCode;
    this.code = `STRONGROOM_${kind.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()}`;
  }
}
StrongroomError.prototype.name = 'StrongroomError';
native.setErrorClass(StrongroomError);

// Node 18 has neither.
const dispose = Symbol.dispose ?? Symbol.for('nodejs.dispose');
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');

const DURABILITIES = { durable: 1, buffered: 2 };

function durabilityOf(name) {
  if (!Object.hasOwn(DURABILITIES, name)) throw new TypeError(`durability is 'durable' or 'buffered', not ${name}`);
  return DURABILITIES[name];
}

function durability(options) {
  const name = options?.durability;
  return name === undefined ? options : { ...options, durability: durabilityOf(name) };
}

const ERASURES = [undefined, 'shared', 'record'];

function erasureOf(name) {
  const erasure = ERASURES.indexOf(name);
  if (erasure < 0) throw new TypeError(`erasure is 'shared' or 'record', not ${name}`);
  return erasure;
}

/** Options of a put as the native half wants them. */
function putOptions(options) {
  if (options === undefined) return undefined;
  const { subject, index, ifAbsent, ifVersion, writtenMs, ttlMs, expiresMs, erasure } = options;
  // What most puts say goes over as a number.
  if (options.durability !== undefined && subject === undefined && index === undefined && ifAbsent === undefined &&
    ifVersion === undefined && writtenMs === undefined && ttlMs === undefined && expiresMs === undefined &&
    erasure === undefined) {
    return durabilityOf(options.durability);
  }
  if (erasure !== undefined) options = { ...options, erasureKind: erasureOf(erasure) };
  if (subject === undefined && index === undefined) return durability(options);
  const indexKeys = Object.entries(index ?? {}).flatMap(([name, keys]) =>
    (Array.isArray(keys) ? keys : [keys]).flatMap((key) => [name, key]));
  return { ...durability(options), subject, indexKeys, hasMore: true };
}

/** Promises of what throws at once, as a call with wrong arguments does. */
async function later(call) {
  return call();
}

/** Bounds as the native half wants them, and back. */
const bounds = (quota) => [quota?.records ?? -1, quota?.bytes ?? -1];
const quotaOf = ([records, bytes]) => ({
  ...(records >= 0 && { records }),
  ...(bytes >= 0 && { bytes }),
});
const OVERWRITES = [undefined, 'erase', 'keep'];
const FLAGS = [undefined, false, true];

function nativePolicy(policy) {
  const overwrite = OVERWRITES.indexOf(policy?.overwrite);
  const [secret, zeroRetention] = [FLAGS.indexOf(policy?.secret), FLAGS.indexOf(policy?.zeroRetention)];
  if (overwrite < 0) throw new TypeError(`overwrite is 'erase' or 'keep', not ${policy.overwrite}`);
  if (secret < 0) throw new TypeError(`secret is true or false, not ${policy.secret}`);
  if (zeroRetention < 0) throw new TypeError(`zeroRetention is true or false, not ${policy.zeroRetention}`);
  return { ...policy, overwrite, secret, zeroRetention, erasure: erasureOf(policy?.erasure) };
}

function policyOf({ overwrite, secret, erasure, zeroRetention, ...times }) {
  const set = Object.entries(times).filter(([, time]) => time > 0);
  return {
    ...Object.fromEntries(set),
    ...(overwrite > 0 && { overwrite: OVERWRITES[overwrite] }),
    ...(secret > 0 && { secret: FLAGS[secret] }),
    ...(zeroRetention > 0 && { zeroRetention: FLAGS[zeroRetention] }),
    ...(erasure > 0 && { erasure: ERASURES[erasure] }),
  };
}

/** How a rekey goes about it, as the native half wants it. */
const pace = (options) => ['records', 'recordsPerSecond', 'bytes', 'bytesPerSecond'].map((name) => options?.[name] ?? 0);
const appliedOf = ({ records, resealed, large, unreadable, complete }) =>
  ({ records, changed: resealed, large, unreadable, complete });

const HOLD = { all: 0, collection: 1, prefix: 2, record: 3, subject: 4 };

/** What a hold covers as the native half wants it: its kind, of what, and a key. */
function nativeSelector({ collection, prefix, key, subject } = {}) {
  if ((prefix !== undefined && key !== undefined) || (collection !== undefined && subject !== undefined) ||
    ((prefix ?? key) !== undefined && collection === undefined)) {
    throw new TypeError('a hold is of a prefix or a key of a collection, or of a subject');
  }
  if (subject !== undefined) return [HOLD.subject, subject, undefined];
  if (collection === undefined) return [HOLD.all, undefined, undefined];
  if (prefix !== undefined) return [HOLD.prefix, collection, prefix];
  return key === undefined ? [HOLD.collection, collection, undefined] : [HOLD.record, collection, key];
}

function holdOf({ name, kind, of, key, placedMs }) {
  const selector = kind === HOLD.subject ? { subject: of } : kind === HOLD.prefix ? { collection: of, prefix: key } : {
    ...(of !== null && { collection: of }),
    ...(key !== null && { key }),
  };
  return { name, selector, placedMs };
}

const EVENTS = ['unknown', 'structure key', 'data key', 'period key', 'subject key', 'tenant', 'receipt', 'scrubbed'];

function ledgerEntryOf({ event, slot, through, ...entry }) {
  const name = EVENTS[event];
  return {
    ...entry,
    event: name,
    slot: name.endsWith(' key') ? slot : null,
    through: name === 'receipt' || name === 'scrubbed' ? through : null,
  };
}

const TENANT_STATES = ['active', 'suspended', 'removed'];

function tenantInfoOf({ state, purgeMs, ...info }) {
  return { ...info, state: TENANT_STATES[state], purgeMs: purgeMs || null };
}

const CHANGE = { suspend: 0, resume: 1, restore: 2, erase: 3, rename: 4 };
const DAY_MS = 86_400_000;
const usageOf = ([records, bytes]) => ({ records, bytes });
const DATA_KEY_STATES = ['current', 'older', 'destroyed'];

class ProviderDenied extends Error {}
class ProviderRetryable extends Error {}
class ProviderAlreadyExists extends Error {}
const PROVIDER = { ok: 0, denied: 1, retryable: 2, alreadyExists: 3 };
const WRAPPED_KEY_BYTES_MAX = 1024;

/** What a provider's function gave, as the library takes it. */
function providerResult(question, given) {
  if (question === 'create') return Buffer.alloc(0);
  if (!(given instanceof Uint8Array)) throw new TypeError(`${question} gave no bytes`);
  if (question === 'unwrap' && given.length !== 32) throw new RangeError(`a key has 32 bytes, not ${given.length}`);
  if (question === 'wrap' && (given.length === 0 || given.length > WRAPPED_KEY_BYTES_MAX)) {
    throw new RangeError(`a wrapped key has 1 to ${WRAPPED_KEY_BYTES_MAX} bytes, not ${given.length}`);
  }
  return given;
}

/** The text of what a provider threw, which may be anything. */
function reasonOf(error) {
  try {
    return String(error?.message ?? '').slice(0, 250);
  } catch {
    return '';
  }
}

/** The functions of a provider as the native half asks them; every answer goes back by `native.answer`, and it throws nothing. */
function asked(provider) {
  return (number, code, bytes, context) => {
    const question = ['create', 'wrap', 'unwrap'][code];
    const answer = (status, result) => {
      native.answer(number, status, result);
      if (question === 'wrap') bytes.fill(0);
    };
    const fail = (error) => {
      const status = error instanceof ProviderRetryable ? PROVIDER.retryable
        : error instanceof ProviderAlreadyExists ? PROVIDER.alreadyExists
          : PROVIDER.denied;
      answer(status, reasonOf(error));
    };
    const give = (given) => {
      try {
        answer(PROVIDER.ok, providerResult(question, given));
      } catch (error) {
        fail(error);
      }
    };
    try {
      const given = question === 'create' ? provider.create?.() : provider[question](bytes, context);
      if (typeof given?.then === 'function') given.then(give, fail);
      else give(given);
    } catch (error) {
      fail(error);
    }
  };
}

const MAINTENANCE = [undefined, 'digests', 'names'];

const isProvider = (keys) => ['keyFile', 'passphrase', 'unwrap'].some((name) => keys?.[name] !== undefined);

function configuration(options) {
  const maintenanceKind = MAINTENANCE.indexOf(options.maintenance);
  if (maintenanceKind < 0) throw new TypeError(`maintenance is 'digests' or 'names', not ${options.maintenance}`);
  const flat = { ...durability(options), maintenanceKind, keyFiles: [], passphrases: [], providers: [], regions: [],
    withoutBackground: options.background === false };
  const providers = isProvider(options.keys) ? { default: options.keys } : options.keys ?? {};
  for (const [name, provider] of Object.entries(providers)) {
    if (provider.keyFile !== undefined) {
      flat.keyFiles.push([name, provider.keyFile, provider.groupRead ? 'group' : undefined]);
    } else if (provider.unwrap !== undefined || provider.wrap !== undefined) {
      if (typeof provider.wrap !== 'function' || typeof provider.unwrap !== 'function') {
        throw new TypeError('a key provider has the functions wrap and unwrap');
      }
      flat.providers.push([name, asked(provider)]);
    } else {
      flat.passphrases.push([name, provider.passphrase]);
      flat.passphraseMemoryKib = provider.memoryKib;
      flat.passphrasePasses = provider.passes;
      flat.passphraseLanes = provider.lanes;
    }
  }
  for (const [name, region] of Object.entries(options.regions ?? {})) {
    flat.regions.push([name, region.root, region.keys]);
  }
  return flat;
}

class Store {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  static createSync(path, options) {
    return new Store(native.open(true, path, configuration(options), false));
  }

  static openSync(path, options) {
    return new Store(native.open(false, path, configuration(options), false));
  }

  static async create(path, options) {
    return new Store(await native.open(true, path, configuration(options), true));
  }

  static async open(path, options) {
    return new Store(await native.open(false, path, configuration(options), true));
  }

  /** What the process that has a store open published of its health. */
  static publishedHealthSync(path) {
    const [json, ageMs] = native.publishedHealth(path);
    return { health: JSON.parse(json.toString()), ageMs };
  }

  createTenantSync(name, options = {}) {
    return new Tenant(native.tenant(this.#handle, name, { ...options, policy: nativePolicy(options.policy) }, false));
  }

  async createTenant(name, options = {}) {
    const made = native.tenant(this.#handle, name, { ...options, policy: nativePolicy(options.policy) }, true);
    return new Tenant(await made);
  }

  tenantSync(name) {
    return new Tenant(native.tenant(this.#handle, name, null, false));
  }

  async tenant(name) {
    return new Tenant(await native.tenant(this.#handle, name, null, true));
  }

  get id() {
    return native.storeId(this.#handle);
  }

  tenants() {
    return native.tenants(this.#handle).map(tenantInfoOf);
  }

  tenantInfo(name) {
    return tenantInfoOf(native.tenantInfo(this.#handle, name)[0]);
  }

  tenantStats(name) {
    return native.tenantStats(this.#handle, name);
  }

  acceptRollbackSync(tenant) {
    native.acceptRollback(this.#handle, tenant, false);
  }

  acceptRollback(tenant) {
    return later(() => native.acceptRollback(this.#handle, tenant, true));
  }

  salvageSync(tenant) {
    return native.salvage(this.#handle, tenant, false);
  }

  salvage(tenant) {
    return later(() => native.salvage(this.#handle, tenant, true));
  }

  suspendTenantSync(name) {
    native.changeTenant(this.#handle, CHANGE.suspend, name, null, false);
  }

  suspendTenant(name) {
    return later(() => native.changeTenant(this.#handle, CHANGE.suspend, name, null, true));
  }

  resumeTenantSync(name) {
    native.changeTenant(this.#handle, CHANGE.resume, name, null, false);
  }

  resumeTenant(name) {
    return later(() => native.changeTenant(this.#handle, CHANGE.resume, name, null, true));
  }

  renameTenantSync(from, to) {
    native.changeTenant(this.#handle, CHANGE.rename, from, to, false);
  }

  renameTenant(from, to) {
    return later(() => native.changeTenant(this.#handle, CHANGE.rename, from, to, true));
  }

  removeTenantSync(name, windowMs = 30 * DAY_MS) {
    return native.removeTenant(this.#handle, name, windowMs, false);
  }

  removeTenant(name, windowMs = 30 * DAY_MS) {
    return later(() => native.removeTenant(this.#handle, name, windowMs, true));
  }

  restoreTenantSync(name) {
    native.changeTenant(this.#handle, CHANGE.restore, name, null, false);
  }

  restoreTenant(name) {
    return later(() => native.changeTenant(this.#handle, CHANGE.restore, name, null, true));
  }

  eraseTenantSync(name) {
    native.changeTenant(this.#handle, CHANGE.erase, name, null, false);
  }

  eraseTenant(name) {
    return later(() => native.changeTenant(this.#handle, CHANGE.erase, name, null, true));
  }

  moveTenantSync(name, region, options) {
    native.moveTenant(this.#handle, name, region, options?.overrideResidency ? 1 : 0, false);
  }

  moveTenant(name, region, options) {
    return later(() => native.moveTenant(this.#handle, name, region, options?.overrideResidency ? 1 : 0, true));
  }

  rewrapSync(from, to) {
    return native.rewrapAll(this.#handle, from, to, false);
  }

  rewrap(from, to) {
    return later(() => native.rewrapAll(this.#handle, from, to, true));
  }

  renewSectionKeysSync(tenant) {
    native.renewSectionKeys(this.#handle, tenant, false);
  }

  renewSectionKeys(tenant) {
    return later(() => native.renewSectionKeys(this.#handle, tenant, true));
  }

  regions() {
    return native.regions(this.#handle);
  }

  lanes() {
    return native.lanes(this.#handle);
  }

  openTenants() {
    return native.openTenants(this.#handle);
  }

  confirmClockSync() {
    native.confirmClock(this.#handle, false);
  }

  confirmClock() {
    return later(() => native.confirmClock(this.#handle, true));
  }

  verifySync(tenant) {
    return native.verify(this.#handle, tenant, false);
  }

  verify(tenant) {
    return later(() => native.verify(this.#handle, tenant, true));
  }

  sweepSync(tenant) {
    return native.sweep(this.#handle, tenant, false);
  }

  sweep(tenant) {
    return later(() => native.sweep(this.#handle, tenant, true));
  }

  health() {
    return JSON.parse(native.health(this.#handle).toString());
  }

  flushSync() {
    native.flush(this.#handle, false);
  }

  flush() {
    return later(() => native.flush(this.#handle, true));
  }

  tickSync() {
    native.tick(this.#handle, false);
  }

  checkpointSync() {
    native.checkpoint(this.#handle, false);
  }

  checkpoint() {
    return later(() => native.checkpoint(this.#handle, true));
  }

  closeSync() {
    native.close(this.#handle, false);
  }

  close() {
    return later(() => native.close(this.#handle, true));
  }

  [dispose]() {
    this.closeSync();
  }

  [asyncDispose]() {
    return this.close();
  }
}

class Tenant {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  collection(name) {
    return new Collection(native.collection(this.#handle, name), this.#handle);
  }

  collections() {
    return native.collections(this.#handle);
  }

  createCollectionSync(name) {
    native.changeCollection(this.#handle, 0, name, null, false);
  }

  createCollection(name) {
    return later(() => native.changeCollection(this.#handle, 0, name, null, true));
  }

  dropCollectionSync(name) {
    native.changeCollection(this.#handle, 1, name, null, false);
  }

  dropCollection(name) {
    return later(() => native.changeCollection(this.#handle, 1, name, null, true));
  }

  renameCollectionSync(from, to) {
    native.changeCollection(this.#handle, 2, from, to, false);
  }

  renameCollection(from, to) {
    return later(() => native.changeCollection(this.#handle, 2, from, to, true));
  }

  policySync() {
    return policyOf(native.getPolicy(this.#handle, null));
  }

  setPolicySync(policy) {
    native.setPolicy(this.#handle, null, nativePolicy(policy), false);
  }

  setPolicy(policy) {
    return later(() => native.setPolicy(this.#handle, null, nativePolicy(policy), true));
  }

  quotaSync() {
    return quotaOf(native.getQuota(this.#handle, null));
  }

  setQuotaSync(quota) {
    native.setQuota(this.#handle, null, ...bounds(quota), false);
  }

  setQuota(quota) {
    return later(() => native.setQuota(this.#handle, null, ...bounds(quota), true));
  }

  usageSync() {
    return usageOf(native.usage(this.#handle, null, false));
  }

  async usage() {
    return usageOf(await native.usage(this.#handle, null, true));
  }

  dataKeys() {
    return native.dataKeys(this.#handle).map((key) => ({ ...key, state: DATA_KEY_STATES[key.state] }));
  }

  rotateDataKeySync() {
    return native.rotateDataKey(this.#handle, false);
  }

  rotateDataKey() {
    return later(() => native.rotateDataKey(this.#handle, true));
  }

  rekeySync(options) {
    return native.rekey(this.#handle, ...pace(options), false);
  }

  rekey(options) {
    return later(() => native.rekey(this.#handle, ...pace(options), true));
  }

  setRekeyDeadlineSync(generation, byMs) {
    native.setRekeyDeadline(this.#handle, generation, byMs, false);
  }

  setRekeyDeadline(generation, byMs) {
    return later(() => native.setRekeyDeadline(this.#handle, generation, byMs, true));
  }

  clearRekeyDeadlineSync() {
    native.clearRekeyDeadline(this.#handle, false);
  }

  clearRekeyDeadline() {
    return later(() => native.clearRekeyDeadline(this.#handle, true));
  }

  get rekeyDeadline() {
    const [generation, byMs, metMs] = native.rekeyDeadline(this.#handle);
    return generation < 0 ? null : { generation, byMs, metMs: metMs || null };
  }

  applyPoliciesSync(options) {
    return appliedOf(native.applyPolicies(this.#handle, ...pace(options), false));
  }

  async applyPolicies(options) {
    return appliedOf(await native.applyPolicies(this.#handle, ...pace(options), true));
  }

  get policiesPendingSinceMs() {
    return native.policiesPending(this.#handle) || null;
  }

  retireDataKeySync(generation) {
    native.retireDataKey(this.#handle, generation, false);
  }

  retireDataKey(generation) {
    return later(() => native.retireDataKey(this.#handle, generation, true));
  }

  subjects() {
    return native.subjects(this.#handle).map(({ name }) => name);
  }

  subjectRecordsSync(subject) {
    return native.subjectRecords(this.#handle, subject, false);
  }

  subjectRecords(subject) {
    return later(() => native.subjectRecords(this.#handle, subject, true));
  }

  eraseSubjectSync(subject) {
    return native.eraseSubject(this.#handle, subject, false);
  }

  eraseSubject(subject) {
    return later(() => native.eraseSubject(this.#handle, subject, true));
  }

  get id() {
    return native.tenantId(this.#handle);
  }

  get name() {
    return native.tenantName(this.#handle);
  }

  stats() {
    return native.stats(this.#handle);
  }

  flushSync() {
    native.tenantFlush(this.#handle, false);
  }

  flush() {
    return later(() => native.tenantFlush(this.#handle, true));
  }

  checkpointSync() {
    native.tenantCheckpoint(this.#handle, false);
  }

  checkpoint() {
    return later(() => native.tenantCheckpoint(this.#handle, true));
  }

  holdSync(name, selector) {
    native.hold(this.#handle, name, ...nativeSelector(selector), false);
  }

  hold(name, selector) {
    return later(() => native.hold(this.#handle, name, ...nativeSelector(selector), true));
  }

  releaseHoldSync(name) {
    native.releaseHold(this.#handle, name, false);
  }

  releaseHold(name) {
    return later(() => native.releaseHold(this.#handle, name, true));
  }

  holds() {
    return native.holds(this.#handle).map(holdOf);
  }

  ledger() {
    return native.ledger(this.#handle).map(ledgerEntryOf);
  }

  receiptSync() {
    return native.receipt(this.#handle, false);
  }

  receipt() {
    return later(() => native.receipt(this.#handle, true));
  }

  receipts() {
    return native.receipts(this.#handle);
  }

  scrubSync() {
    return native.scrub(this.#handle, false);
  }

  scrub() {
    return later(() => native.scrub(this.#handle, true));
  }

  horizon() {
    return native.horizon(this.#handle);
  }

  get keyProvider() {
    return native.keyProvider(this.#handle).toString();
  }

  rewrapSync(provider) {
    native.rewrap(this.#handle, provider, false);
  }

  rewrap(provider) {
    return later(() => native.rewrap(this.#handle, provider, true));
  }

  session() {
    return new Session(native.session(this.#handle));
  }

  batch() {
    return new Batch(native.batch(this.#handle));
  }

  snapshot() {
    return new Snapshot(native.snapshot(this.#handle));
  }

  rewriteSync() {
    return native.rewrite(this.#handle, false);
  }

  rewrite() {
    return later(() => native.rewrite(this.#handle, true));
  }
}

class Collection {
  #handle;
  #tenant;

  constructor(handle, tenant) {
    this.#handle = handle;
    this.#tenant = tenant;
  }

  /** The native handle, for batches and snapshots of this package. */
  static handleOf(collection) {
    if (!(collection instanceof Collection)) throw new TypeError('a collection is expected');
    return collection.#handle;
  }

  getSync(key) {
    return native.get(this.#handle, null, key, false);
  }

  get(key) {
    return later(() => native.get(this.#handle, null, key, true));
  }

  getIntoSync(key, buffer) {
    const length = native.getInto(this.#handle, key, buffer);
    return length < 0 ? null : length;
  }

  putSync(key, value, options) {
    return native.put(this.#handle, key, value, putOptions(options));
  }

  put(key, value, options) {
    return later(() => {
      const batch = native.batch(this.#tenant);
      native.batchPut(batch, this.#handle, key, value, putOptions(options));
      const made = native.write(batch, true);
      native.free(batch);
      return made;
    });
  }

  eraseSync(key, options) {
    return native.erase(this.#handle, key, options?.ifVersion, false);
  }

  erase(key, options) {
    return later(() => native.erase(this.#handle, key, options?.ifVersion, true));
  }

  eraseRangeSync(from, to) {
    return native.eraseRange(this.#handle, from, to, false);
  }

  eraseRange(from, to) {
    return later(() => native.eraseRange(this.#handle, from, to, true));
  }

  erasePrefixSync(prefix) {
    return native.erasePrefix(this.#handle, prefix, false);
  }

  erasePrefix(prefix) {
    return later(() => native.erasePrefix(this.#handle, prefix, true));
  }

  removeSync(key, options) {
    return native.remove(this.#handle, key, options?.ifVersion, false);
  }

  remove(key, options) {
    return later(() => native.remove(this.#handle, key, options?.ifVersion, true));
  }

  removeRangeSync(from, to) {
    return native.removeRange(this.#handle, from, to, false);
  }

  removeRange(from, to) {
    return later(() => native.removeRange(this.#handle, from, to, true));
  }

  removePrefixSync(prefix) {
    return native.removePrefix(this.#handle, prefix, false);
  }

  removePrefix(prefix) {
    return later(() => native.removePrefix(this.#handle, prefix, true));
  }

  restoreSync(key, options) {
    return native.restore(this.#handle, key, options?.version, false);
  }

  restore(key, options) {
    return later(() => native.restore(this.#handle, key, options?.version, true));
  }

  restoreRangeSync(from, to) {
    return native.restoreRange(this.#handle, from, to, false);
  }

  restoreRange(from, to) {
    return later(() => native.restoreRange(this.#handle, from, to, true));
  }

  restorePrefixSync(prefix) {
    return native.restorePrefix(this.#handle, prefix, false);
  }

  restorePrefix(prefix) {
    return later(() => native.restorePrefix(this.#handle, prefix, true));
  }

  removedSync(options) {
    return native.removed(this.#handle, options, options?.after);
  }

  infoSync(key) {
    return native.info(this.#handle, null, key, false);
  }

  info(key) {
    return later(() => native.info(this.#handle, null, key, true));
  }

  countSync(options) {
    return native.count(this.#handle, null, options, false);
  }

  count(options) {
    return later(() => native.count(this.#handle, null, options, true));
  }

  scan(options) {
    return new Scan(native.scan(this.#handle, null, options));
  }

  getRangeSync(key, offset, size) {
    return native.getRange(this.#handle, key, offset, size, false);
  }

  getRange(key, offset, size) {
    return later(() => native.getRange(this.#handle, key, offset, size, true));
  }

  getReaderSync(key) {
    return Reader.of(native.reader(this.#handle, null, key, false));
  }

  async getReader(key) {
    return Reader.of(await native.reader(this.#handle, null, key, true));
  }

  createReadStream(key, options) {
    return new ValueStream(() => needed(this.getReader(key)), options);
  }

  createWriteStream(key, options) {
    return new PutStream(this, key, options);
  }

  async putStream(key, source, options) {
    const target = this.createWriteStream(key, options);
    await pipeline(source, target);
    return target.version;
  }

  beginUploadSync(key, options) {
    return new Upload(native.beginUpload(this.#handle, key, putOptions(options)));
  }

  resumeUploadSync(id) {
    return new Upload(native.resumeUpload(this.#handle, id, false));
  }

  async resumeUpload(id) {
    return new Upload(await native.resumeUpload(this.#handle, id, true));
  }

  indexes() {
    return native.indexes(this.#handle);
  }

  buildIndexSync(name, keysOf) {
    return native.buildIndex(this.#handle, name, listed(keysOf), false);
  }

  buildIndex(name, keysOf) {
    return later(() => native.buildIndex(this.#handle, name, listed(keysOf), true));
  }

  declareIndexSync(name, options) {
    native.changeIndex(this.#handle, options?.unique ? 1 : 0, name, false);
  }

  declareIndex(name, options) {
    return later(() => native.changeIndex(this.#handle, options?.unique ? 1 : 0, name, true));
  }

  dropIndexSync(name) {
    native.changeIndex(this.#handle, 2, name, false);
  }

  dropIndex(name) {
    return later(() => native.changeIndex(this.#handle, 2, name, true));
  }

  find(index, key) {
    return new Scan(native.find(this.#handle, index, { from: key, to: key, toIncluded: true }));
  }

  findRange(index, options) {
    return new Scan(native.find(this.#handle, index, { ...options, after: undefined }));
  }

  policySync() {
    return policyOf(native.getPolicy(this.#tenant, this.#handle));
  }

  setPolicySync(policy) {
    native.setPolicy(this.#tenant, this.#handle, nativePolicy(policy), false);
  }

  setPolicy(policy) {
    return later(() => native.setPolicy(this.#tenant, this.#handle, nativePolicy(policy), true));
  }

  quotaSync() {
    return quotaOf(native.getQuota(this.#tenant, this.#handle));
  }

  setQuotaSync(quota) {
    native.setQuota(this.#tenant, this.#handle, ...bounds(quota), false);
  }

  setQuota(quota) {
    return later(() => native.setQuota(this.#tenant, this.#handle, ...bounds(quota), true));
  }

  usageSync() {
    return usageOf(native.usage(this.#tenant, this.#handle, false));
  }

  async usage() {
    return usageOf(await native.usage(this.#tenant, this.#handle, true));
  }

  pageSync(limit, options) {
    const scan = this.scan({ ...options, limit });
    try {
      return { records: [...scan.records()], cursor: scan.cursor() };
    } finally {
      scan.close();
    }
  }

  [Symbol.iterator]() {
    return this.scan()[Symbol.iterator]();
  }

  [Symbol.asyncIterator]() {
    return this.scan()[Symbol.asyncIterator]();
  }
}

/** A function of a record that gives a list, of one that gives a list or a key. */
function listed(keysOf) {
  return (record) => {
    const keys = keysOf(record);
    return Array.isArray(keys) ? keys : [keys];
  };
}

async function needed(found) {
  const reader = await found;
  if (reader !== null) return reader;
  throw new StrongroomError('there is no such record', 'NotFound', 2, false, 0);
}

/** A value of any length, read in parts: as it was when the reader was made. */
class Reader {
  #handle;

  constructor(handle) {
    this.#handle = handle;
    this.info = native.readerInfo(handle);
  }

  static of(handle) {
    return handle === null ? null : new Reader(handle);
  }

  readAtSync(offset, size) {
    return native.readAt(this.#handle, offset, this.#within(offset, size), false);
  }

  readAt(offset, size) {
    return later(() => native.readAt(this.#handle, offset, this.#within(offset, size), true));
  }

  /** No more memory is taken than there are bytes. */
  #within(offset, size) {
    return Math.max(0, Math.min(size, this.info.valueSize - offset));
  }

  close() {
    native.free(this.#handle);
  }

  [dispose]() {
    this.close();
  }
}

/** A large value on its way into the store, in any number of sessions. */
class Upload {
  #handle;

  constructor(handle) {
    this.#handle = handle;
    this.id = native.uploadId(handle);
  }

  get durableBytes() {
    return native.durableBytes(this.#handle);
  }

  writeSync(bytes) {
    native.uploadWrite(this.#handle, bytes, false);
  }

  write(bytes) {
    return later(() => native.uploadWrite(this.#handle, bytes, true));
  }

  flushSync() {
    native.uploadFlush(this.#handle, false);
  }

  flush() {
    return later(() => native.uploadFlush(this.#handle, true));
  }

  publishSync() {
    return native.publish(this.#handle, false);
  }

  publish() {
    return later(() => native.publish(this.#handle, true));
  }

  discardSync() {
    native.discard(this.#handle, false);
  }

  discard() {
    return later(() => native.discard(this.#handle, true));
  }

  close() {
    native.free(this.#handle);
  }

  [dispose]() {
    this.close();
  }
}

/** Records in order, in pages; `for` reads them here, `for await` on another thread. */
class Scan {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  cursor() {
    return native.cursor(this.#handle);
  }

  close() {
    native.free(this.#handle);
  }

  *records() {
    for (let page; (page = native.next(this.#handle, 0, false)) !== null;) yield* page;
  }

  *[Symbol.iterator]() {
    try {
      yield* this.records();
    } finally {
      this.close();
    }
  }

  async *[Symbol.asyncIterator]() {
    try {
      for (let page; (page = await native.next(this.#handle, 0, true)) !== null;) yield* page;
    } finally {
      this.close();
    }
  }

  [dispose]() {
    this.close();
  }
}

class Batch {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  put(collection, key, value, options) {
    native.batchPut(this.#handle, Collection.handleOf(collection), key, value, putOptions(options));
    return this;
  }

  erase(collection, key, options) {
    native.batchErase(this.#handle, Collection.handleOf(collection), key, options?.ifVersion);
    return this;
  }

  remove(collection, key, options) {
    native.batchRemove(this.#handle, Collection.handleOf(collection), key, options?.ifVersion);
    return this;
  }

  restore(collection, key, options) {
    native.batchRestore(this.#handle, Collection.handleOf(collection), key, options?.version);
    return this;
  }

  require(collection, key, version) {
    native.batchRequire(this.#handle, Collection.handleOf(collection), key, version);
    return this;
  }

  get length() {
    return native.batchCount(this.#handle);
  }

  writeSync() {
    return native.write(this.#handle, false);
  }

  write() {
    return later(() => native.write(this.#handle, true));
  }
}

class Snapshot {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  getSync(collection, key) {
    return native.get(Collection.handleOf(collection), this.#handle, key, false);
  }

  get(collection, key) {
    return later(() => native.get(Collection.handleOf(collection), this.#handle, key, true));
  }

  info(collection, key) {
    return later(() => native.info(Collection.handleOf(collection), this.#handle, key, true));
  }

  infoSync(collection, key) {
    return native.info(Collection.handleOf(collection), this.#handle, key, false);
  }

  countSync(collection, options) {
    return native.count(Collection.handleOf(collection), this.#handle, options, false);
  }

  count(collection, options) {
    return later(() => native.count(Collection.handleOf(collection), this.#handle, options, true));
  }

  get version() {
    return native.snapshotVersion(this.#handle);
  }

  collections() {
    return native.snapshotCollections(this.#handle);
  }

  async getReader(collection, key) {
    return Reader.of(await native.reader(Collection.handleOf(collection), this.#handle, key, true));
  }

  createReadStream(collection, key, options) {
    return new ValueStream(() => needed(this.getReader(collection, key)), options);
  }

  scan(collection, options) {
    return new Scan(native.scan(Collection.handleOf(collection), this.#handle, options));
  }

  close() {
    native.free(this.#handle);
  }

  [dispose]() {
    this.close();
  }
}

/** Records that nothing retains: in memory alone, wiped when it is closed. */
class Session {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  put(collection, key, value) {
    native.sessionPut(this.#handle, Collection.handleOf(collection), key, value);
    return this;
  }

  get(collection, key) {
    return native.sessionGet(this.#handle, Collection.handleOf(collection), key);
  }

  erase(collection, key) {
    return native.sessionErase(this.#handle, Collection.handleOf(collection), key);
  }

  scan(collection, from, to) {
    const records = native.sessionScan(this.#handle, Collection.handleOf(collection), from, to);
    return records.map(({ key, value }) => ({ key, value }));
  }

  get size() {
    return native.sessionCount(this.#handle);
  }

  close() {
    native.free(this.#handle);
  }

  [dispose]() {
    this.close();
  }
}

const LEVELS = [undefined, 'error', 'warn', 'info', 'debug', 'trace'];

/** Has the log of all stores of the process given to a function, or to none. */
function setLog(log, level = 'info') {
  const most = LEVELS.indexOf(level);
  if (most < 1) throw new TypeError(`a level is one of ${LEVELS.slice(1).join(', ')}, not ${level}`);
  native.setLog(most, log && ((number, target, text) => log({ level: LEVELS[number], target, text })));
}

module.exports = {
  Batch, Collection, ProviderAlreadyExists, ProviderDenied, ProviderRetryable, Reader, Scan, Session, Snapshot, Store,
  StrongroomError, Tenant, Upload, setLog,
};
