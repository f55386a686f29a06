// The scenarios that every language runs: see tests/conformance/README.md.
'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const scenarios = require('../../../tests/conformance/scenarios.json');
const { Store, StrongroomError } = require('..');
const { folder, options } = require('./support');

/** An object with other names. */
function renamed(object, rename) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [rename(name), value]));
}

class World {
  saved = {};

  constructor(where, hasSecondKey) {
    const keys = { default: options(where).keys };
    if (hasSecondKey) {
      // A store makes its key file.
      keys.second = { keyFile: path.join(where, 'second-key') };
      Store.createSync(path.join(where, 'other'), { keys: { default: keys.second } }).closeSync();
    }
    this.where = [path.join(where, 'data'), { keys }];
    this.store = Store.createSync(...this.where);
    this.tenant = this.store.createTenantSync('acme');
  }

  /** Does a step; gives what it came to, which stands in the step under the name given. */
  async run(step) {
    const text = (value) => (typeof value === 'string' ? value : value.repeat.repeat(value.times));
    const key = () => text(step.key);
    const collection = () => this.tenant.collection(step.collection);
    switch (step.do) {
      case 'reopen':
        await this.store.close();
        this.store = await Store.open(this.where[0], { ...this.where[1], maintenance: step.maintenance });
        this.tenant = await this.store.tenant('acme');
        return {};
      case 'create_tenant':
        this.tenant = await this.store.createTenant(step.name);
        return {};
      case 'tenant':
        this.tenant = await this.store.tenant(step.name);
        return {};
      case 'rename_tenant':
        await this.store.renameTenant(step.name, step.to);
        return {};
      case 'suspend_tenant':
      case 'resume_tenant':
      case 'remove_tenant':
      case 'restore_tenant':
      case 'erase_tenant':
        await this.store[step.do.replace('_t', 'T')](step.name);
        return {};
      case 'hold': {
        const { of, prefix, key: only, subject } = step;
        await this.tenant.hold(step.name, { collection: of, prefix, key: only, subject });
        return {};
      }
      case 'release_hold':
        await this.tenant.releaseHold(step.name);
        return {};
      case 'holds':
        return { names: this.tenant.holds().map((hold) => hold.name) };
      case 'subjects':
        return { names: this.tenant.subjects() };
      case 'subject_records': {
        const records = await this.tenant.subjectRecords(step.subject);
        return { records: records.map((record) => [record.collection, `${record.key}`]) };
      }
      case 'erase_subject':
        return { existed: await this.tenant.eraseSubject(step.subject) };
      case 'scrub':
        await this.tenant.scrub();
        return {};
      case 'receipts':
        return { states: this.tenant.receipts().map((receipt) => (receipt.scrubbedMs === null ? 'erased' : 'scrubbed')) };
      case 'set_policy':
        await collection().setPolicy(renamed(step.policy, (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())));
        return {};
      case 'policy':
        return { policy: renamed(collection().policySync(), (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)) };
      case 'session':
        this.session?.close();
        this.session = this.tenant.session();
        return {};
      case 'session_put':
        this.session.put(collection(), key(), text(step.value));
        return {};
      case 'session_get': {
        const value = this.session.get(collection(), key());
        return { value: value === null ? null : value.toString() };
      }
      case 'session_erase':
        return { existed: this.session.erase(collection(), key()) };
      case 'session_scan':
        return { records: this.session.scan(collection()).map((record) => [`${record.key}`, `${record.value}`]) };
      case 'session_count':
        return { count: this.session.size };
      case 'rewrap':
        await this.tenant.rewrap(step.to);
        return {};
      case 'key_provider':
        return { provider: this.tenant.keyProvider };
      case 'checkpoint':
      case 'sweep':
        await this.store[step.do]();
        return {};
      case 'rewrite':
        await this.tenant.rewrite();
        return {};
      case 'verify': {
        const report = await this.store.verify();
        return { good: report.isGood, unopened: report.recordsUnopened };
      }
      case 'digests': {
        const count = (list) => list.filter((info) => info.name.startsWith('~')).length;
        return { tenants: count(this.store.tenants()), collections: count(this.tenant.collections()) };
      }
      case 'collections':
        return { names: this.tenant.collections().map((info) => info.name) };
      case 'rename_collection':
        await this.tenant.renameCollection(step.collection, step.to);
        return {};
      case 'declare_index':
        await collection().declareIndex(step.index, { unique: step.unique });
        return {};
      case 'find': {
        const keys = [];
        for await (const record of collection().find(step.index, key())) keys.push(`${record.key}`);
        return { keys };
      }
      case 'set_quota':
        await collection().setQuota({ records: step.records });
        return {};
      case 'drop_collection':
        await this.tenant.dropCollection(step.collection);
        return {};
      case 'put': {
        const ifVersion = step.if_version && this.saved[step.if_version];
        const version = await collection().put(key(), text(step.value), { ifAbsent: step.if_absent, ifVersion, index: step.index, subject: step.subject });
        if (step.save) this.saved[step.save] = version;
        return {};
      }
      case 'get': {
        const value = await collection().get(key());
        assert.deepEqual(collection().getSync(key()), value);
        return { value: value === null ? null : value.toString() };
      }
      case 'erase': {
        const existed = await collection().erase(key(), { ifVersion: this.saved[step.if_version] });
        if (step.receipt) await this.tenant.receipt();
        return { existed };
      }
      case 'remove':
        return { existed: await collection().remove(key()) };
      case 'restore':
        return { existed: await collection().restore(key()) };
      case 'removed':
        return { keys: collection().removedSync().records.map((removed) => `${removed.key}`) };
      case 'erase_prefix': {
        const { records, held } = await collection().erasePrefix(step.prefix);
        return { count: records, held };
      }
      case 'count':
        return { count: await collection().count() };
      case 'scan': {
        const { prefix, reverse, limit } = step;
        const records = [];
        for await (const { key: k, value } of collection().scan({ prefix, reverse, limit })) records.push([`${k}`, `${value}`]);
        return { records };
      }
      default:
        throw new Error(`no step does ${step.do}`);
    }
  }
}

for (const scenario of scenarios) {
  test(scenario.name, async (t) => {
    const world = new World(folder(), scenario.needs?.includes('second key'));
    for (const step of scenario.steps) {
      let cameTo;
      try {
        cameTo = await world.run(step);
      } catch (error) {
        if (!(error instanceof StrongroomError)) throw error;
        assert.equal(error.kind, step.error, JSON.stringify(step));
        continue;
      }
      assert.equal(step.error, undefined, JSON.stringify(step));
      for (const [name, value] of Object.entries(cameTo)) assert.deepEqual(value, step[name], JSON.stringify(step));
    }
    world.store.closeSync();
  });
}
