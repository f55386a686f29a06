// What the C++ tests are written with.
#ifndef CHECK_HPP
#define CHECK_HPP

#include <cstdio>
#include <cstdlib>

#include "strongroom.hpp"

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                           \
        }                                                                           \
    } while (0)

template <typename Body> void expect(strongroom::Kind kind, Body body) {
    try {
        body();
    } catch (const strongroom::Error &error) {
        CHECK(error.kind() == kind);
        CHECK(std::string_view(error.what()).size() > 10);
        return;
    }
    CHECK(!"it should have thrown");
}

#endif
