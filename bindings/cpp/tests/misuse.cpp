// The C++ binding: callers that are wrong get errors, and 64 threads on the same objects get what each put. The argument is an
// empty directory.
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace strongroom;

constexpr int THREADS = 64;

static void test_arguments(Store &store, Tenant &tenant) {
    Collection c = tenant.collection("c");
    c.put("k", "v");
    expect(Kind::invalid_argument, [&] { c.put("", "v"); });
    expect(Kind::invalid_argument, [&] { c.get(std::string_view(nullptr, 3)); });
    expect(Kind::limit_exceeded, [&] { c.put(std::string(4'097, 'k'), "v"); });
    expect(Kind::limit_exceeded, [&] { c.put("k", std::string((1 << 20) + 1, 'v')); });
    // Lengths that no memory has are refused before anything is read.
    expect(Kind::limit_exceeded, [&] { c.get(std::string_view("k", SIZE_MAX / 2)); });
    expect(Kind::limit_exceeded, [&] { c.put("k", std::string_view("v", SIZE_MAX / 2)); });
    for (const std::string_view name : {"", " a", "a\n", "\xff\xfe", "\xc3", "\xed\xa0\x80"}) {
        expect(Kind::invalid_argument, [&] { store.create_tenant(name); });
        expect(Kind::invalid_argument, [&] { tenant.collection(name); });
    }
    expect(Kind::invalid_argument, [&] { store.create_tenant(std::string(256, 'n')); });
    expect(Kind::invalid_argument, [&] { Config(std::string_view("a\0b", 3)); });

    // What was moved from, and what is of another tenant.
    Collection moved = std::move(c);
    expect(Kind::invalid_argument, [&] { c.get("k"); });
    CHECK(moved.get("k")->view() == "v");
    Tenant other = store.create_tenant("other");
    expect(Kind::invalid_argument, [&] { other.batch().put(moved, "k", "v"); });
    Tenant gone = std::move(other);
    expect(Kind::invalid_argument, [&] { other.collection("c"); });
    // Objects that came from it need no other.
    Collection left = gone.collection("c");
    { const Tenant freed = std::move(gone); }
    left.put("k", "v");
    Session session = tenant.session();
    expect(Kind::invalid_argument, [&] { session.put(left, "k", "v"); });
}

// Functions that throw end their call, and what they threw is thrown on, whatever it is.
static void test_throwing(Tenant &tenant) {
    Collection c = tenant.collection("throwing");
    c.put("k", "v");
    c.declare_index("i", false);
    bool thrown = false;
    try {
        c.build_index("i", [](const Record &) -> std::vector<std::string> { throw 42; });
    } catch (int number) {
        thrown = number == 42;
    }
    CHECK(thrown && c.get("k")->view() == "v");
    c.build_index("i", [](const Record &record) { return std::vector<std::string>{std::string(record.key)}; });
}

struct Stuck : KeyProvider {
    std::mutex lock;
    std::condition_variable released;
    bool is_stuck = false;
    int waiting = 0;

    std::string wrap(std::string_view key, std::string_view) override {
        std::unique_lock<std::mutex> guard(lock);
        waiting += is_stuck;
        released.wait(guard, [&] { return !is_stuck; });
        waiting = 0;
        return std::string(key);
    }
    std::string unwrap(std::string_view wrapped, std::string_view) override { return std::string(wrapped); }
};

// One that does not return is given up, and so is one that gives what is no key.
static void test_stuck(const std::string &directory) {
    const auto kms = std::make_shared<Stuck>();
    Config config(directory + "/stuck");
    config.key_provider(kms).set([](auto &options) { options.key_timeout_ms = 100; });
    Store store = Store::create(config);
    const auto set = [&](bool is_stuck) {
        const std::lock_guard<std::mutex> guard(kms->lock);
        kms->is_stuck = is_stuck;
        kms->released.notify_all();
    };
    set(true);
    try {
        store.create_tenant("acme");
        CHECK(!"it should have thrown");
    } catch (const Error &error) {
        CHECK(error.kind() == Kind::key_unavailable && error.retryable());
    }
    set(false);
    store.create_tenant("acme").collection("c").put("k", "v");
    store.close();

    struct Short : KeyProvider {
        std::string wrap(std::string_view, std::string_view) override { return ""; }
        std::string unwrap(std::string_view, std::string_view) override { return "short"; }
    };
    Config other(directory + "/short");
    expect(Kind::key_unavailable, [&] { Store::create(other.key_provider(std::make_shared<Short>())); });
    Config again(directory + "/stuck");
    expect(Kind::key_unavailable, [&] { Store::open(again.key_provider(std::make_shared<Short>())); });
}

static void test_threads(Tenant &tenant) {
    Collection shared = tenant.collection("shared");
    std::vector<std::thread> threads;
    for (int number = 0; number < THREADS; number++) {
        threads.emplace_back([&, number] {
            PutOptions buffered;
            buffered.durability = Durability::buffered;
            const std::string mine = std::to_string(number) + "-";
            for (int round = 0; round < 10; round++) {
                const std::string key = mine + std::to_string(round);
                shared.put(key, key, buffered);
                CHECK(shared.get(key)->view() == key);
            }
            CHECK(tenant.batch().put(shared, mine + "batch", "v").submit().get().sequence > 0);
            ScanOptions options;
            options.prefix = mine;
            int records = 0;
            for (const Record &record : shared.scan(options)) {
                records += record.key.substr(0, mine.size()) == mine;
            }
            CHECK(records == 11);
            expect(Kind::limit_exceeded, [&] { shared.put(std::string(5'000, 'k'), ""); });
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    CHECK(shared.count() == THREADS * 11);
}

int main(int count, char **arguments) {
    CHECK(count == 2);
    const std::string directory = arguments[1];
    Config config(directory + "/data");
    config.key_file(directory + "/root-key");
    Store store = Store::create(config);
    Tenant tenant = store.create_tenant("acme");
    test_arguments(store, tenant);
    test_throwing(tenant);
    test_stuck(directory);
    test_threads(tenant);
    Collection c = tenant.collection("c");
    Batch batch = tenant.batch();
    store.close();
    expect(Kind::poisoned, [&] { c.get("k"); });
    expect(Kind::poisoned, [&] { batch.put(c, "k", "v").write(); });
    expect(Kind::poisoned, [&] { store.create_tenant("late"); });
    store.close();
    return 0;
}
