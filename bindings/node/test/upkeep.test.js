// What an operator does: quotas, data keys, indexes over records that are there, settings, health, lists.
'use strict';

const assert = require('node:assert/strict');
const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Store, setLog } = require('..');
const { folder, kind, options, store } = require('./support');

test('quotas, usage and policies', async (t) => {
  const { tenant } = store(t);
  const c = tenant.collection('c');
  assert.deepEqual([c.quotaSync(), tenant.quotaSync()], [{}, {}]);
  c.setQuotaSync({ records: 2 });
  c.putSync('a', '12');
  c.putSync('b', '34');
  assert.throws(() => c.putSync('c', '5'), kind('LimitExceeded'));
  assert.deepEqual([c.quotaSync(), c.usageSync(), await tenant.usage()], [{ records: 2 }, { records: 2, bytes: 6 }, { records: 2, bytes: 6 }]);
  await c.setQuota({});
  await tenant.setQuota({ bytes: 0 });
  assert.deepEqual(tenant.quotaSync(), { bytes: 0 });
  await assert.rejects(c.put('c', '5'), kind('LimitExceeded'));
  tenant.setQuotaSync({});
  await c.put('c', '5');
  c.setPolicySync({ retentionMs: 5 });
  await tenant.setPolicy({ maximumMs: 7 });
  assert.deepEqual([c.policySync(), tenant.policySync()], [{ retentionMs: 5 }, { maximumMs: 7 }]);
});

test('data keys', async (t) => {
  const { tenant } = store(t);
  const c = tenant.collection('c');
  for (let number = 0; number < 10; number++) c.putSync(`${number}`, 'v');
  const [first] = tenant.dataKeys();
  assert.deepEqual([first.state, first.recordsSealed], ['current', 10]);
  const second = await tenant.rotateDataKey();
  assert.ok(second > first.generation);
  await assert.rejects(tenant.retireDataKey(first.generation), kind('Conflict'));
  const part = tenant.rekeySync({ records: 4, recordsPerSecond: 100_000 });
  assert.deepEqual([part.resealed, part.complete, part.generation], [4, false, second]);
  const rest = await tenant.rekey();
  assert.deepEqual([rest.resealed, rest.complete, rest.records, rest.unreadable], [6, true, 10, 0]);
  tenant.retireDataKeySync(first.generation);
  assert.deepEqual(tenant.dataKeys().map(({ state }) => state), ['destroyed', 'current']);
  assert.equal(c.getSync('3').toString(), 'v');
});

test('deadlines, policies over what is there, and new section keys', async (t) => {
  const { store: s, tenant } = store(t);
  const c = tenant.collection('c');
  for (let number = 0; number < 10; number++) c.putSync(`${number}`, 'v');
  const [{ generation }] = tenant.dataKeys();
  await assert.rejects(tenant.setRekeyDeadline(generation, 5000), kind('Conflict'));
  assert.equal(tenant.rekeyDeadline, null);
  tenant.rotateDataKeySync();
  await tenant.setRekeyDeadline(generation, 5000);
  tenant.setRekeyDeadlineSync(generation, 6000);
  assert.deepEqual([tenant.rekeyDeadline.generation, tenant.rekeyDeadline.byMs], [generation, 6000]);
  await tenant.clearRekeyDeadline();
  tenant.clearRekeyDeadlineSync();
  assert.equal(tenant.rekeyDeadline, null);
  const part = await tenant.rekey({ bytes: 1 });
  assert.ok(part.resealed >= 1 && part.resealed < 10 && !part.complete);

  const policy = { retentionMs: 3_600_000, zeroRetention: false };
  await c.setPolicy(policy);
  assert.deepEqual(c.policySync(), policy);
  assert.ok(tenant.policiesPendingSinceMs > 0);
  const applied = await tenant.applyPolicies();
  assert.deepEqual([applied.changed, applied.complete, tenant.policiesPendingSinceMs], [10, true, null]);
  assert.equal(tenant.applyPoliciesSync({ records: 1 }).changed, 0);
  c.setPolicySync({ zeroRetention: true });
  assert.deepEqual(c.policySync(), { zeroRetention: true });
  await assert.rejects(c.put('k', 'v'), (error) => error.kind !== undefined);
  c.setPolicySync({});

  await s.renewSectionKeys('acme');
  assert.throws(() => c.getSync('1'), kind('Poisoned'));
  const again = s.tenantSync('acme').collection('c');
  again.putSync('k', 'v');
  s.renewSectionKeysSync('acme');
  assert.throws(() => s.renewSectionKeysSync('nobody'), kind('NotFound'));
  assert.equal((await s.tenant('acme')).collection('c').getSync('k').toString(), 'v');
});

test('an index over records that are there', (t) => {
  const { tenant } = store(t);
  const people = tenant.collection('people');
  ['Bonn', 'Rome', 'Bonn'].forEach((city, number) => people.putSync(`${number}`, city));
  people.declareIndexSync('city');
  people.declareIndexSync('only', { unique: true });
  assert.deepEqual(people.indexes().map(({ name, unique, ready }) => [name, unique, ready]), [['city', false, false], ['only', true, false]]);
  assert.throws(() => people.find('city', 'Bonn'), kind('Unavailable'));
  assert.throws(() => people.buildIndexSync('city', () => { throw new RangeError('enough'); }), RangeError);
  assert.throws(() => people.buildIndexSync('city', () => [1]), TypeError);
  assert.throws(() => people.buildIndexSync('city', () => 'k'.repeat(2000)), kind('LimitExceeded'));
  assert.throws(() => people.buildIndexSync('only', () => 'the same'), kind('Conflict'));
  assert.equal(people.buildIndexSync('city', (record) => [record.value, record.key]), 3);
  assert.deepEqual([...people.find('city', 'Bonn')].map(({ key }) => `${key}`), ['0', '2']);
  assert.ok(people.indexes()[0].ready);
});

test('removed records are listed and restored', async (t) => {
  const { tenant } = store(t);
  const c = tenant.collection('c');
  c.setPolicySync({ removalWindowMs: 3_600_000 });
  assert.deepEqual(c.policySync(), { removalWindowMs: 3_600_000 });
  const first = c.putSync('a', '1');
  c.putSync('b', '2');
  assert.throws(() => c.removeSync('a', { ifVersion: { timeline: 9, sequence: 9 } }), kind('Conflict'));
  assert.deepEqual([await c.remove('a', { ifVersion: first }), c.removeSync('a'), c.getSync('a')], [true, false, null]);
  assert.deepEqual([await c.removeRange('b'), c.restoreRangeSync('b', 'c')], [1, 1]);
  assert.deepEqual([c.removeRangeSync('b', 'c'), await c.restoreRange(undefined, 'c'), c.removeSync('a')], [1, 2, true]);
  assert.equal(c.removePrefixSync('b'), 1);
  const { records, cursor } = c.removedSync({ limit: 1 });
  assert.deepEqual(records.map(({ key, version, valueSize, expiresMs }) => [`${key}`, version, valueSize, expiresMs]), [['a', first, 1, null]]);
  assert.equal(records[0].erasedFromMs - records[0].removedMs, 3_600_000);
  const rest = c.removedSync({ after: cursor });
  assert.deepEqual([rest.records.map(({ key }) => `${key}`), rest.cursor], [['b'], null]);
  assert.deepEqual([c.restoreSync('a', { version: first }), await c.restore('a'), await c.restorePrefix('b')], [true, false, 1]);
  assert.equal(c.getSync('a').toString(), '1');
});

test('settings, lists and published health', async (t) => {
  const where = folder();
  const data = path.join(where, 'data');
  const settings = path.join(where, 'settings.toml');
  writeFileSync(settings, 'telepathy = 1\n');
  assert.throws(() => Store.createSync(data, options(where, { settings })), kind('InvalidArgument'));
  writeFileSync(settings, 'open_tenants = 7\n');
  assert.throws(() => Store.publishedHealthSync(data), kind('NotFound'));
  const figures = { settings, erasurePeriodMs: 3_600_000, rotateAfterMs: 86_400_000, rotateAfterRecords: 5_000 };
  const opened = Store.createSync(data, options(where, figures));
  const tenant = opened.createTenantSync('acme', { policy: { maximumMs: 86_400_000 } });
  assert.deepEqual(tenant.policySync(), { maximumMs: 86_400_000 });
  tenant.collection('c').putSync('k', 'v');
  assert.equal(opened.openTenants(), 1);
  const [region] = opened.regions();
  assert.deepEqual([region.name, region.keys, region.problem], ['default', `${region.root}.keys`, null]);
  const [lane] = opened.lanes();
  assert.deepEqual([lane.region, lane.damaged, lane.changes > 0, lane.id.length], ['default', 0, true, 32]);
  await opened.confirmClock();
  opened.closeSync();
});

test('an index is built on another thread, which asks this one', async (t) => {
  const { tenant } = store(t);
  const c = tenant.collection('c');
  for (let number = 0; number < 300; number++) c.putSync(`${number}`.padStart(3, '0'), number % 2 ? 'odd' : 'even');
  c.declareIndexSync('kind');
  let turns = 0;
  const timer = setInterval(() => { turns++; }, 0);
  const building = c.buildIndex('kind', (record) => record.value);
  assert.throws(() => c.buildIndexSync('kind', () => []), TypeError);
  assert.equal(await building, 300);
  clearInterval(timer);
  assert.ok(turns > 0);
  assert.equal([...c.find('kind', 'odd')].length, 150);
  c.declareIndexSync('late');
  const thrown = new Error('on purpose');
  await assert.rejects(c.buildIndex('late', () => { throw thrown; }), (error) => error === thrown);
  await assert.rejects(c.buildIndex('late', () => { throw 42; }), (error) => error === 42);
  await assert.rejects(c.buildIndex('late', () => 7), TypeError);
  await assert.rejects(c.buildIndex('late', () => ''.padStart(2_000, 'x')), kind('LimitExceeded'));
  await assert.rejects(c.buildIndex('none', () => 'x'), kind('NotFound'));
  await assert.rejects(c.buildIndex('late', 'no function'), TypeError);
  assert.equal(c.buildIndexSync('late', () => ['x', 'y']), 300);
});

test('the log goes to a function', async (t) => {
  const lines = [];
  setLog((line) => lines.push(line), 'trace');
  t.after(() => setLog(null));
  const { tenant } = store(t);
  tenant.collection('c').putSync('a key', 'a value');
  await tenant.rewrite();
  while (lines.length === 0) await new Promise(setImmediate);
  assert.ok(lines.every(({ level, target, text }) => level && target.startsWith('strongroom') && typeof text === 'string'));
  assert.ok(!JSON.stringify(lines).includes('acme'));
  assert.throws(() => setLog(() => {}, 'loud'), TypeError);
});

test('what is known of a store and its tenants', async (t) => {
  const { store: s, tenant } = store(t);
  const c = tenant.collection('c');
  const version = c.putSync('k', 'v', { durability: 'buffered' });
  assert.match(s.id, /^[0-9a-f]{32}$/);
  const info = s.tenantInfo('acme');
  assert.deepEqual([info.name, info.id, info.state, info.region], ['acme', tenant.id, 'active', 'default']);
  assert.deepEqual([tenant.name, s.tenants()], ['acme', [info]]);
  await tenant.flush();
  await tenant.checkpoint();
  const stats = tenant.stats();
  assert.deepEqual(stats, s.tenantStats('acme'));
  assert.ok(stats.records === 1 && stats.collections === 1 && stats.fileBytes > 0 && stats.keyStoreBytes > 0);
  const snapshot = tenant.snapshot();
  assert.ok(snapshot.version.sequence >= version.sequence);
  snapshot.close();
  assert.throws(() => s.tenantInfo('nobody'), kind('NotFound'));
  assert.throws(() => s.tenantStats('nobody'), kind('NotFound'));
  await s.acceptRollback('acme');
  assert.throws(() => s.acceptRollbackSync('nobody'), kind('NotFound'));
  await assert.rejects(s.salvage('nobody'), kind('NotFound'));
});

test('records are removed and restored by batches', async (t) => {
  const { tenant } = store(t);
  const c = tenant.collection('c');
  const version = c.putSync('a', '1');
  assert.throws(() => tenant.batch().remove(c, 'a', { ifVersion: { timeline: 9, sequence: 9 } }), kind('Conflict'));
  await tenant.batch().remove(c, 'a', { ifVersion: version }).put(c, 'b', '2').write();
  assert.deepEqual([c.getSync('a'), `${c.getSync('b')}`], [null, '2']);
  tenant.batch().restore(c, 'a', { version }).writeSync();
  assert.equal(`${c.getSync('a')}`, '1');
});
