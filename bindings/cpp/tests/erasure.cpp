// What may be erased, when, and the proof of it; a tenant's life; wrapping keys anew; records that nothing retains. The
// argument is an empty directory.
#include <chrono>
#include <ctime>

#include "check.hpp"

using namespace strongroom;
using std::chrono::hours;

static void test_policies(Tenant &tenant) {
    Collection books = tenant.collection("books");
    Policy policy;
    policy.minimum = hours(24);
    policy.removal_window = hours(48);
    policy.erased_within = hours(240);
    policy.overwrite = Overwrite::keep;
    policy.secret = true;
    policy.erasure = Erasure::record;
    books.set_policy(policy);
    const Policy read = books.policy();
    CHECK(read.minimum == hours(24) && read.removal_window == hours(48) && read.erased_within == hours(240));
    CHECK(read.overwrite == Overwrite::keep && read.secret == true && read.erasure == Erasure::record && read.retention.count() == 0);
    books.put("k", "v");
    expect(Kind::held, [&] { books.erase("k"); });
    const EraseReport all = books.erase_range(std::nullopt, std::nullopt);
    CHECK(all.records == 0 && all.held == 1);
    policy.minimum = hours(0);
    policy.secret = false;
    books.set_policy(policy);
    CHECK(books.policy().minimum.count() == 0 && books.policy().secret == false);
    CHECK(!tenant.policy().secret && tenant.policy().overwrite == Overwrite::standard);
    CHECK(books.erase("k"));
}

static void test_holds(Store &store, Tenant &tenant) {
    Collection cases = tenant.collection("cases");
    cases.put("a", "v");
    PutOptions expired;
    expired.written_ms = 1'000;
    expired.ttl = milliseconds(1);
    cases.put("b", "v", expired);
    tenant.hold("case", Selector::collection("cases"));
    tenant.hold("ada", Selector::subject("Ada"));
    tenant.hold("begins", Selector::prefix("cases", ""));
    tenant.hold("one", Selector::record("cases", "a"));
    tenant.hold("all");
    const std::vector<Hold> holds = tenant.holds();
    CHECK(holds.size() == 5 && holds[0].name == "ada" && holds[0].selector == Selector::subject("Ada"));
    CHECK(holds[1].selector == Selector::tenant() && holds[2].selector == Selector::prefix("cases", ""));
    CHECK(holds[3].selector == Selector::collection("cases") && holds[3].placed_ms > 0);
    CHECK(holds[4].selector == Selector::record("cases", "a") && holds[4].selector.key() == "a");
    expect(Kind::held, [&] { cases.erase("a"); });
    const SweepReport swept = store.sweep("acme");
    CHECK(swept.records == 0 && swept.held == 1);
    for (const Hold &hold : holds) {
        tenant.release_hold(hold.name);
    }
    expect(Kind::not_found, [&] { tenant.release_hold("all"); });
    CHECK(store.sweep().records == 1 && cases.erase("a"));
}

static void test_subjects(Tenant &tenant) {
    Collection about = tenant.collection("about");
    PutOptions options;
    options.subject = "Zoe";
    about.put("k", "value", options);
    // A hold gave the other one a key.
    CHECK(tenant.subjects() == std::vector<std::string>({"Ada", "Zoe"}));
    const std::vector<SubjectRecord> records = tenant.subject_records("Zoe");
    CHECK(records.size() == 1 && records[0].collection == "about" && records[0].key == "k");
    CHECK(records[0].info.value_size == 5 && !records[0].info.expires_ms && tenant.subject_records("Bob").empty());
    CHECK(tenant.erase_subject("Zoe") && !tenant.erase_subject("Zoe") && tenant.subjects().size() == 1);
}

static void test_ledger(Tenant &tenant) {
    const Receipt given = tenant.receipt();
    CHECK(given.number > 0 && !given.scrubbed_ms && given.deadline_ms > given.erased_ms);
    const Horizon horizon = tenant.horizon();
    CHECK(horizon.key_copies_ms >= horizon.data_copies_ms);
    std::uint64_t rows = 0;
    const Version through = tenant.scrub([&](std::uint64_t done, std::uint64_t) { rows = done; });
    CHECK(!(through < given.through) && rows > 0);
    bool thrown = false;
    try {
        tenant.scrub([](std::uint64_t, std::uint64_t) { throw 42; });
    } catch (int) {
        thrown = true;
    }
    CHECK(thrown);
    const std::vector<Receipt> receipts = tenant.receipts();
    CHECK(receipts.size() == 1 && receipts[0].number == given.number && receipts[0].scrubbed_ms);
    std::uint64_t number = 0;
    bool is_receipt_there = false;
    for (const LedgerEntry &entry : tenant.ledger()) {
        CHECK(entry.number == ++number && entry.event != LedgerEntry::Event::unknown);
        is_receipt_there |= entry.event == LedgerEntry::Event::receipt && entry.through == given.through;
    }
    CHECK(is_receipt_there);
}

static void test_life(Store &store) {
    Tenant tenant = store.create_tenant("life");
    Collection records = tenant.collection("c");
    records.put("k", "v");
    store.suspend_tenant("life");
    expect(Kind::suspended, [&] { records.get("k"); });
    CHECK(store.tenants().at(1).state == TenantInfo::State::suspended);
    store.resume_tenant("life");
    store.rename_tenant("life", "death");
    const std::uint64_t purge_ms = store.remove_tenant("death", hours(1));
    const TenantInfo removed = store.tenants().at(1);
    CHECK(removed.name == "death" && removed.state == TenantInfo::State::removed && removed.purge_ms == purge_ms);
    expect(Kind::not_found, [&] { records.get("k"); });
    store.restore_tenant("death");
    expect(Kind::invalid_argument, [&] { store.move_tenant("death", "eu", false); });
    std::uint64_t copied = 0;
    store.move_tenant("death", "eu", true, [&](std::uint64_t more) { copied += more; });
    CHECK(copied > 0 && store.tenants().at(1).region == "eu");
    expect(Kind::poisoned, [&] { records.get("k"); });
    CHECK(store.tenant("death").collection("c").get("k")->view() == "v");
    store.erase_tenant("death");
    expect(Kind::not_found, [&] { store.tenant("death"); });
}

static void test_wrapping(Store &store, Tenant &tenant) {
    tenant.rewrap();
    tenant.rewrap("second");
    CHECK(tenant.key_provider() == "second");
    expect(Kind::key_unavailable, [&] { tenant.rewrap("third"); });
    CHECK(store.rewrap("second", "default") == 1 && tenant.key_provider() == "default");
}

static void test_session(Tenant &tenant) {
    const Collection chat = tenant.collection("chat");
    Session session = tenant.session();
    session.put(chat, "k", "one");
    session.put(chat, "l", "");
    CHECK(session.get(chat, "k")->view() == "one" && session.get(chat, "l")->size() == 0 && !session.get(chat, "m"));
    CHECK(!chat.get("k") && session.count() == 2);
    std::string found;
    session.scan(chat, [&](std::string_view key, std::string_view value) { (found += key) += value; });
    CHECK(found == "konel");
    found.clear();
    session.scan(chat, [&](std::string_view key, std::string_view) { found += key; }, "l");
    session.scan(chat, [&](std::string_view key, std::string_view) { found += key; }, std::nullopt, "l");
    CHECK(found == "lk" && session.erase(chat, "k") && !session.erase(chat, "k"));
}

int main(int count, char **arguments) {
    CHECK(count == 2);
    const std::string directory = arguments[1];
    // A store makes its key file; this one's is the other store's second one.
    Store::create(Config(directory + "/other-data").key_file(directory + "/second-key")).close();
    Config config(directory + "/data");
    config.key_file(directory + "/root-key").key_file(directory + "/second-key", "second").region("eu", directory + "/eu");
    Store store = Store::create(config);
    Tenant tenant = store.create_tenant("acme");
    test_policies(tenant);
    test_holds(store, tenant);
    test_subjects(tenant);
    test_ledger(tenant);
    test_life(store);
    test_wrapping(store, tenant);
    test_session(tenant);
    store.close();
    return 0;
}
