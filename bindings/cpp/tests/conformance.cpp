// The scenarios that every language runs: see tests/conformance/README.md. The argument is an empty directory.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>

#include <nlohmann/json.hpp>

#include "check.hpp"

using nlohmann::json;
using namespace strongroom;

static std::string text(const json &value) {
    if (value.is_string()) {
        return value;
    }
    std::string repeated;
    for (int times = value["times"]; times > 0; times--) {
        repeated += value["repeat"].get<std::string>();
    }
    return repeated;
}

static Config config_in(const std::string &directory, bool has_second_key) {
    Config config(directory + "/data");
    config.key_file(directory + "/root-key");
    if (has_second_key) {
        config.key_file(directory + "/second-key", "second");
    }
    return config;
}

// The configuration, once there is a second key: a store makes its key file.
static Config config_with(const std::string &directory, bool has_second_key) {
    if (has_second_key) {
        Store::create(Config(directory + "/other").key_file(directory + "/second-key")).close();
    }
    return config_in(directory, has_second_key);
}

template <typename Infos> static std::size_t digests(const Infos &infos) {
    std::size_t count = 0;
    for (const auto &info : infos) {
        if constexpr (std::is_convertible_v<decltype(info), std::string_view>) {
            count += std::string_view(info)[0] == '~';
        } else {
            count += info.name[0] == '~';
        }
    }
    return count;
}

class World {
public:
    World(std::string where, bool has_second_key)
        : directory_(std::move(where)), has_second_key_(has_second_key),
          store_(Store::create(config_with(directory_, has_second_key))), tenant_(store_.create_tenant("acme")) {}

    // Does a step; gives what it came to, under its name.
    json run(const json &step) {
        const std::string what = step["do"];
        if (what == "reopen") {
            store_.close();
            tenant_ = Tenant(nullptr);
            Config config = config_in(directory_, has_second_key_);
            if (step.contains("maintenance")) {
                config.maintenance(step["maintenance"] == "names" ? Names::shown : Names::digests);
            }
            store_ = Store::open(config);
            tenant_ = store_.tenant("acme");
        } else if (what == "create_tenant") {
            tenant_ = store_.create_tenant(text(step["name"]));
        } else if (what == "tenant") {
            tenant_ = store_.tenant(text(step["name"]));
        } else if (what == "suspend_tenant") {
            store_.suspend_tenant(text(step["name"]));
        } else if (what == "resume_tenant") {
            store_.resume_tenant(text(step["name"]));
        } else if (what == "rename_tenant") {
            store_.rename_tenant(text(step["name"]), text(step["to"]));
        } else if (what == "remove_tenant") {
            store_.remove_tenant(text(step["name"]), std::chrono::hours(30 * 24));
        } else if (what == "restore_tenant") {
            store_.restore_tenant(text(step["name"]));
        } else if (what == "erase_tenant") {
            store_.erase_tenant(text(step["name"]));
        } else if (what == "hold") {
            tenant_.hold(text(step["name"]), selector_of(step));
        } else if (what == "release_hold") {
            tenant_.release_hold(text(step["name"]));
        } else if (what == "holds") {
            json names = json::array();
            for (const Hold &hold : tenant_.holds()) {
                names.push_back(hold.name);
            }
            return {{"names", names}};
        } else if (what == "subjects") {
            return {{"names", tenant_.subjects()}};
        } else if (what == "subject_records") {
            json records = json::array();
            for (const SubjectRecord &record : tenant_.subject_records(text(step["subject"]))) {
                records.push_back({record.collection, record.key});
            }
            return {{"records", records}};
        } else if (what == "erase_subject") {
            return {{"existed", tenant_.erase_subject(text(step["subject"]))}};
        } else if (what == "scrub") {
            tenant_.scrub();
        } else if (what == "receipts") {
            json states = json::array();
            for (const Receipt &receipt : tenant_.receipts()) {
                states.push_back(receipt.scrubbed_ms ? "scrubbed" : "erased");
            }
            return {{"states", states}};
        } else if (what == "session") {
            session_.emplace(tenant_.session());
        } else if (what == "session_count") {
            return {{"count", session_->count()}};
        } else if (what.rfind("session_", 0) == 0) {
            return with_session(what, step, tenant_.collection(text(step["collection"])));
        } else if (what == "rewrap") {
            const std::string to = step.value("to", "");
            tenant_.rewrap(to.empty() ? std::nullopt : std::optional<std::string_view>(to));
        } else if (what == "key_provider") {
            return {{"provider", tenant_.key_provider()}};
        } else if (what == "checkpoint") {
            store_.checkpoint();
        } else if (what == "sweep") {
            store_.sweep();
        } else if (what == "rewrite") {
            tenant_.rewrite();
        } else if (what == "verify") {
            const Report report = store_.verify();
            return {{"good", report.is_good}, {"unopened", report.records_unopened}};
        } else if (what == "digests") {
            return {{"tenants", digests(store_.tenants())}, {"collections", digests(tenant_.collections())}};
        } else if (what == "collections") {
            return {{"names", tenant_.collections()}};
        } else if (what == "drop_collection") {
            tenant_.drop_collection(text(step["collection"]));
        } else if (what == "rename_collection") {
            tenant_.rename_collection(text(step["collection"]), text(step["to"]));
        } else {
            return with_collection(what, step, tenant_.collection(text(step["collection"])));
        }
        return json::object();
    }

    void close() { store_.close(); }

private:
    static Selector selector_of(const json &step) {
        if (step.contains("subject")) {
            return Selector::subject(text(step["subject"]));
        }
        if (!step.contains("of")) {
            return Selector::tenant();
        }
        const std::string of = text(step["of"]);
        if (step.contains("prefix")) {
            return Selector::prefix(of, text(step["prefix"]));
        }
        return step.contains("key") ? Selector::record(of, text(step["key"])) : Selector::collection(of);
    }

    static Policy policy_of(const json &said) {
        const auto time = [&](const char *name) { return milliseconds(said.value(name, std::int64_t{0})); };
        Policy policy;
        policy.retention = time("retention_ms");
        policy.maximum = time("maximum_ms");
        policy.removal_window = time("removal_window_ms");
        policy.minimum = time("minimum_ms");
        policy.erased_within = time("erased_within_ms");
        if (said.contains("overwrite")) {
            policy.overwrite = said["overwrite"] == "keep" ? Overwrite::keep : Overwrite::erase;
        }
        if (said.contains("erasure")) {
            policy.erasure = said["erasure"] == "record" ? Erasure::record : Erasure::shared;
        }
        if (said.contains("secret")) {
            policy.secret = said["secret"].get<bool>();
        }
        if (said.contains("zero_retention")) {
            policy.zero_retention = said["zero_retention"].get<bool>();
        }
        return policy;
    }

    static json told(const Policy &policy) {
        json told = json::object();
        const auto time = [&](const char *name, milliseconds time) {
            if (time.count() != 0) {
                told[name] = time.count();
            }
        };
        time("retention_ms", policy.retention);
        time("maximum_ms", policy.maximum);
        time("removal_window_ms", policy.removal_window);
        time("minimum_ms", policy.minimum);
        time("erased_within_ms", policy.erased_within);
        if (policy.overwrite != Overwrite::standard) {
            told["overwrite"] = policy.overwrite == Overwrite::keep ? "keep" : "erase";
        }
        if (policy.erasure != Erasure::standard) {
            told["erasure"] = policy.erasure == Erasure::record ? "record" : "shared";
        }
        if (policy.secret) {
            told["secret"] = *policy.secret;
        }
        if (policy.zero_retention) {
            told["zero_retention"] = *policy.zero_retention;
        }
        return told;
    }

    json with_session(const std::string &what, const json &step, const Collection &collection) {
        if (what == "session_put") {
            session_->put(collection, text(step["key"]), text(step["value"]));
        } else if (what == "session_get") {
            const auto value = session_->get(collection, text(step["key"]));
            return {{"value", value ? json(value->view()) : json()}};
        } else if (what == "session_erase") {
            return {{"existed", session_->erase(collection, text(step["key"]))}};
        } else {
            CHECK(what == "session_scan");
            json records = json::array();
            session_->scan(collection, [&](std::string_view key, std::string_view value) {
                records.push_back({std::string(key), std::string(value)});
            });
            return {{"records", records}};
        }
        return json::object();
    }

    json with_collection(const std::string &what, const json &step, Collection collection) {
        if (what == "put") {
            put(step, collection);
        } else if (what == "get") {
            const auto value = collection.get(text(step["key"]));
            return {{"value", value ? json(value->view()) : json()}};
        } else if (what == "erase") {
            bool existed = true;
            if (step.contains("if_version")) {
                collection.erase(text(step["key"]), saved_.at(step["if_version"]));
            } else {
                existed = collection.erase(text(step["key"]));
            }
            if (step.value("receipt", false)) {
                tenant_.receipt();
            }
            return {{"existed", existed}};
        } else if (what == "remove" || what == "restore") {
            const std::string key = text(step["key"]);
            return {{"existed", what == "remove" ? collection.remove(key) : collection.restore(key)}};
        } else if (what == "removed") {
            json keys = json::array();
            for (const Removed &removed : collection.removed().first) {
                keys.push_back(removed.key);
            }
            return {{"keys", keys}};
        } else if (what == "erase_prefix") {
            const EraseReport erased = collection.erase_prefix(text(step["prefix"]));
            return {{"count", erased.records}, {"held", erased.held}};
        } else if (what == "set_policy") {
            collection.set_policy(policy_of(step["policy"]));
        } else if (what == "policy") {
            return {{"policy", told(collection.policy())}};
        } else if (what == "count") {
            return {{"count", collection.count()}};
        } else if (what == "declare_index") {
            collection.declare_index(text(step["index"]), step.value("unique", false));
        } else if (what == "find") {
            json keys = json::array();
            for (const Record &record : collection.find(text(step["index"]), text(step["key"]))) {
                keys.push_back(record.key);
            }
            return {{"keys", keys}};
        } else if (what == "set_quota") {
            collection.set_quota({step["records"].get<std::uint64_t>(), std::nullopt});
        } else {
            CHECK(what == "scan");
            return {{"records", scan(step, collection)}};
        }
        return json::object();
    }

    void put(const json &step, Collection &collection) {
        PutOptions options;
        options.if_absent = step.value("if_absent", false);
        if (step.contains("if_version")) {
            options.if_version = saved_.at(step["if_version"]);
        }
        const std::string subject = step.value("subject", "");
        options.subject = subject;
        const json index = step.value("index", json::object());
        std::vector<std::pair<std::string, std::string>> keys;
        for (const auto &[name, key] : index.items()) {
            keys.emplace_back(name, text(key));
        }
        options.index.assign(keys.begin(), keys.end());
        const Version version = collection.put(text(step["key"]), text(step["value"]), options);
        if (step.contains("save")) {
            saved_[step["save"]] = version;
        }
    }

    static json scan(const json &step, const Collection &collection) {
        const std::string prefix = step.value("prefix", "");
        ScanOptions options;
        options.prefix = prefix;
        options.reverse = step.value("reverse", false);
        options.limit = step.value("limit", 0);
        json records = json::array();
        for (const Record &record : collection.scan(options)) {
            records.push_back({std::string(record.key), std::string(*record.value)});
        }
        return records;
    }

    std::string directory_;
    bool has_second_key_;
    Store store_;
    Tenant tenant_;
    std::optional<Session> session_;
    std::map<std::string, Version> saved_;
};

int main(int count, char **arguments) {
    CHECK(count == 2);
    std::ifstream file(SCENARIOS);
    const json scenarios = json::parse(file);
    int number = 0;
    for (const json &scenario : scenarios) {
        const std::string directory = std::string(arguments[1]) + "/" + std::to_string(number++);
        std::filesystem::create_directory(directory);
        const json needs = scenario.value("needs", json::array());
        World world(directory, std::find(needs.begin(), needs.end(), "second key") != needs.end());
        for (const json &step : scenario["steps"]) {
            json came_to;
            std::string failed;
            try {
                came_to = world.run(step);
            } catch (const Error &error) {
                failed = error.name();
            }
            bool agrees = failed == step.value("error", "");
            for (const auto &[name, value] : came_to.items()) {
                agrees = agrees && step[name] == value;
            }
            if (!agrees) {
                std::fprintf(stderr, "%s: %s came to %s %s\n", scenario["name"].get<std::string>().c_str(),
                             step.dump().c_str(), came_to.dump().c_str(), failed.c_str());
                return 1;
            }
        }
        world.close();
    }
    CHECK(number >= 20);
    return 0;
}
