// What may be erased, when, and the proof of it; a tenant's life; wrapping keys anew; records that nothing retains.
'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { Store } = require('..');
const { folder, kind, store } = require('./support');

const DAY_MS = 86_400_000;

test('policies', async (t) => {
  const { store: s, tenant } = store(t);
  const c = tenant.collection('c');
  const policy = {
    retentionMs: 90 * DAY_MS, maximumMs: 365 * DAY_MS, removalWindowMs: 10 * DAY_MS, minimumMs: 30 * DAY_MS,
    erasedWithinMs: 20 * DAY_MS, overwrite: 'keep', secret: true, erasure: 'record',
  };
  await c.setPolicy(policy);
  assert.deepEqual([c.policySync(), tenant.policySync()], [policy, {}]);
  c.putSync('k', 'v');
  assert.throws(() => c.eraseSync('k'), kind('Held'));
  assert.deepEqual([c.eraseRangeSync(), await c.erasePrefix('')], [{ records: 0, held: 1 }, { records: 0, held: 1 }]);
  c.setPolicySync({ overwrite: 'erase', secret: false });
  assert.deepEqual(c.policySync(), { overwrite: 'erase', secret: false });
  assert.deepEqual(await c.eraseRange(), { records: 1, held: 0 });
  assert.throws(() => c.setPolicySync({ overwrite: 'perhaps' }), TypeError);
  await assert.rejects(tenant.setPolicy({ secret: 1 }), TypeError);
  await assert.rejects(tenant.setPolicy({ minimumMs: 2, maximumMs: 1 }), kind('InvalidArgument'));
  const made = await s.createTenant('other', { policy });
  assert.deepEqual(made.policySync(), policy);
});

test('holds', async (t) => {
  const { store: s, tenant } = store(t);
  const c = tenant.collection('c');
  c.putSync('a', 'v');
  c.putSync('b', 'v', { writtenMs: 1_000, ttlMs: 1 });
  const selectors = {
    all: {}, case: { collection: 'c' }, one: { collection: 'c', key: Buffer.from('a') }, person: { subject: 'Ada' },
    prefix: { collection: 'c', prefix: Buffer.from('') },
  };
  for (const [name, selector] of Object.entries(selectors)) await tenant.hold(name, selector);
  const holds = tenant.holds();
  assert.deepEqual(Object.fromEntries(holds.map(({ name, selector }) => [name, selector])), selectors);
  assert.ok(holds.every(({ placedMs }) => Math.abs(placedMs - Date.now()) < 600_000));
  assert.throws(() => tenant.holdSync('all'), kind('AlreadyExists'));
  assert.throws(() => tenant.holdSync('x', { prefix: 'a' }), TypeError);
  assert.throws(() => tenant.holdSync('x', { collection: 'c', subject: 'Ada' }), TypeError);
  await assert.rejects(c.erase('a'), kind('Held'));
  await assert.rejects(tenant.eraseSubject('Ada'), kind('Held'));
  assert.deepEqual(s.sweepSync('acme'), { records: 0, held: 1 });
  for (const name of Object.keys(selectors)) tenant.releaseHoldSync(name);
  await assert.rejects(tenant.releaseHold('all'), kind('NotFound'));
  assert.deepEqual([await s.sweep(), c.eraseSync('a'), tenant.holds()], [{ records: 1, held: 0 }, true, []]);
});

test('subjects', async (t) => {
  const { tenant } = store(t);
  const [c, other] = [tenant.collection('c'), tenant.collection('other')];
  const version = c.putSync('k', 'value', { subject: 'Zoe' });
  other.putSync('l', '', { subject: 'Zoe', ttlMs: DAY_MS });
  c.putSync('m', '', { subject: 'Ada' });
  assert.deepEqual(tenant.subjects(), ['Ada', 'Zoe']);
  const records = await tenant.subjectRecords('Zoe');
  const told = Object.fromEntries(records.map(({ key, collection, valueSize }) => [`${key}`, [collection, valueSize]]));
  assert.deepEqual(told, { k: ['c', 5], l: ['other', 0] });
  assert.deepEqual(records.find(({ collection }) => collection === 'c').version, version);
  assert.deepEqual(tenant.subjectRecordsSync('Bob'), []);
  assert.deepEqual([tenant.eraseSubjectSync('Zoe'), await tenant.eraseSubject('Zoe'), tenant.subjects()], [true, false, ['Ada']]);
  assert.deepEqual([c.countSync(), other.countSync()], [1, 0]);
});

test('the ledger, receipts and the horizon', async (t) => {
  const { tenant } = store(t);
  tenant.collection('c').putSync('k', 'v', { subject: 'Ada' });
  tenant.eraseSubjectSync('Ada');
  const receipt = await tenant.receipt();
  assert.ok(receipt.scrubbedMs === null && receipt.deadlineMs > Date.now());
  const { dataCopiesMs, keyCopiesMs } = tenant.horizon();
  assert.ok(dataCopiesMs > Date.now() - DAY_MS && keyCopiesMs >= dataCopiesMs);
  const through = await tenant.scrub();
  assert.ok(through.sequence >= receipt.through.sequence && tenant.scrubSync().sequence > through.sequence);
  const [again, second] = [...tenant.receipts(), tenant.receiptSync()];
  assert.deepEqual({ ...again, scrubbedMs: null, erasedMs: 0 }, { ...receipt, erasedMs: 0 });
  assert.ok(again.scrubbedMs > 0 && second.number > again.number);
  const entries = tenant.ledger();
  assert.deepEqual(entries.map(({ number }) => number), entries.map((_, index) => index + 1));
  const events = new Set(entries.map(({ event }) => event));
  assert.ok(['subject key', 'receipt', 'scrubbed'].every((event) => events.has(event)) && !events.has('unknown'));
  assert.ok(entries.every(({ mac }) => mac.length === 24));
  const given = entries.find(({ event }) => event === 'receipt');
  assert.deepEqual([given.number, given.through, given.slot], [receipt.number, receipt.through, null]);
});

test('a record with a key of its own', (t) => {
  const { tenant } = store(t);
  const c = tenant.collection('c');
  const destroyed = () => tenant.ledger().filter(({ event }) => event === 'subject key').length;
  c.putSync('k', 'v', { erasure: 'record' });
  assert.deepEqual([c.eraseSync('k'), destroyed()], [true, 1]);
  c.putSync('k', 'v', { erasure: 'shared', index: {} });
  assert.deepEqual([c.eraseSync('k'), destroyed()], [true, 1]);
  assert.throws(() => c.putSync('k', 'v', { erasure: 'perhaps' }), TypeError);
});

test('the horizon counts how long copies of keys are kept', (t) => {
  const { tenant } = store(t, { keyCopiesKeptMs: 7 * DAY_MS, scrubWithinMs: 10 * DAY_MS });
  const { dataCopiesMs, keyCopiesMs } = tenant.horizon();
  assert.equal(keyCopiesMs - dataCopiesMs, 7 * DAY_MS);
  assert.ok(Math.abs(dataCopiesMs - Date.now() - 10 * DAY_MS) < DAY_MS);
});

test("a tenant's life", async (t) => {
  const where = folder();
  const s = Store.createSync(path.join(where, 'data'), {
    keys: { keyFile: path.join(where, 'root-key') }, regions: { eu: { root: path.join(where, 'eu') } },
  });
  t.after(() => s.closeSync());
  const c = s.createTenantSync('acme').collection('c');
  c.putSync('k', 'v');
  await s.suspendTenant('acme');
  assert.equal(s.tenants()[0].state, 'suspended');
  await assert.rejects(c.get('k'), kind('Suspended'));
  s.resumeTenantSync('acme');
  await s.renameTenant('acme', 'emca');
  const purgeMs = await s.removeTenant('emca', 3_600_000);
  const [removed] = s.tenants();
  assert.deepEqual([removed.name, removed.state, removed.purgeMs], ['emca', 'removed', purgeMs]);
  assert.throws(() => c.getSync('k'), kind('NotFound'));
  await s.restoreTenant('emca');
  assert.equal(s.tenants()[0].purgeMs, null);
  await assert.rejects(s.moveTenant('emca', 'eu'), kind('InvalidArgument'));
  await s.moveTenant('emca', 'eu', { overrideResidency: true });
  assert.equal(s.tenants()[0].region, 'eu');
  assert.throws(() => c.getSync('k'), kind('Poisoned'));
  assert.equal(`${s.tenantSync('emca').collection('c').getSync('k')}`, 'v');
  await s.eraseTenant('emca');
  assert.deepEqual(s.tenants(), []);
});

test('keys are wrapped anew, and by another provider', async (t) => {
  const where = folder();
  const key = (name) => ({ keyFile: path.join(where, name) });
  // A store makes its key file; this one's is the other store's second one.
  Store.createSync(path.join(where, 'other'), { keys: key('second-key') }).closeSync();
  const s = Store.createSync(path.join(where, 'data'), { keys: { default: key('root-key'), second: key('second-key') } });
  t.after(() => s.closeSync());
  const tenant = s.createTenantSync('acme');
  tenant.rewrapSync();
  await tenant.rewrap('second');
  assert.equal(tenant.keyProvider, 'second');
  await assert.rejects(tenant.rewrap('third'), kind('KeyUnavailable'));
  assert.deepEqual([await s.rewrap('second', 'default'), tenant.keyProvider], [1, 'default']);
});

test('a session retains nothing', (t) => {
  const { tenant } = store(t);
  const c = tenant.collection('c');
  const session = tenant.session();
  session.put(c, 'k', 'one').put(c, Buffer.from('l'), '');
  assert.deepEqual([`${session.get(c, 'k')}`, session.get(c, 'm'), session.size, c.getSync('k')], ['one', null, 2, null]);
  const found = (...range) => session.scan(c, ...range).map(({ key, value }) => `${key}=${value}`);
  assert.deepEqual([found(), found('l'), found(undefined, 'l')], [['k=one', 'l='], ['l='], ['k=one']]);
  assert.deepEqual([session.erase(c, 'k'), session.erase(c, 'k')], [true, false]);
  assert.throws(() => session.put(c, 'x', Buffer.alloc(1 << 21)), kind('LimitExceeded'));
  assert.throws(() => session.put({}, 'x', 'y'), TypeError);
  session.close();
  assert.throws(() => session.get(c, 'l'), TypeError);
});
