// The C++ player of `cargo xtask bench bindings`: does what a line of its input says and prints the nanoseconds that took.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "strongroom.hpp"

static constexpr std::size_t RECORDS = 10'000, STRIDE = 7'919, VALUE_BYTES = 1'024;

static void demand(bool holds) {
    if (!holds) {
        std::exit(1);
    }
}

int main(int count, char **arguments) {
    demand(count == 2);
    const std::string directory = arguments[1];
    strongroom::Config config(directory + "/data");
    config.key_file(directory + "/root-key");
    strongroom::Store store = strongroom::Store::create(config);
    strongroom::Tenant tenant = store.create_tenant("acme");
    strongroom::Collection collection = tenant.collection("c");
    std::vector<std::string> keys;
    const std::string value(VALUE_BYTES, 'v');
    strongroom::Batch batch = tenant.batch();
    for (std::size_t index = 0; index < RECORDS; index++) {
        char key[16];
        std::snprintf(key, sizeof key, "key-%06zu", index * STRIDE % RECORDS);
        keys.emplace_back(key);
        batch.put(collection, keys.back(), value);
        if (index % 1'000 == 999) {
            batch.write();
        }
    }
    store.checkpoint();
    strongroom::PutOptions buffered;
    buffered.durability = strongroom::Durability::buffered;
    std::cout << "ready" << std::endl;
    std::string what;
    std::size_t from = 0, calls = 0;
    while (std::cin >> what >> from >> calls) {
        const auto begun = std::chrono::steady_clock::now();
        if (what == "get") {
            for (std::size_t index = from; index < from + calls; index++) {
                const auto found = collection.get(keys[index]);
                demand(found && found->view().size() == VALUE_BYTES && found->view()[0] == 'v');
            }
        } else if (what == "put") {
            for (std::size_t index = from; index < from + calls; index++) {
                collection.put(keys[index], value, buffered);
            }
        } else {
            std::size_t bytes = 0;
            for (const auto &record : collection.scan()) {
                bytes += record.value->size();
            }
            demand(bytes == RECORDS * VALUE_BYTES);
        }
        const auto took = std::chrono::steady_clock::now() - begun;
        std::cout << std::chrono::duration_cast<std::chrono::nanoseconds>(took).count() << std::endl;
    }
    store.close();
    return 0;
}
