/* What the C tests are written with: checks that say where they failed, and a store of the test's own. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strongroom.h"

#define BYTES(text) (const uint8_t *)(text), strlen(text)
#define TEXT(text) (text), strlen(text)

/* Goes on only where the condition holds. */
#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);  \
            exit(1);                                                                       \
        }                                                                                  \
    } while (0)

static void check_status(strongroom_status expected, strongroom_status status, strongroom_error **error,
                         const char *file, int line) {
    if (status != expected) {
        fprintf(stderr, "%s:%d: %s instead of %s: %s\n", file, line, strongroom_status_name(status),
                strongroom_status_name(expected), strongroom_error_message(*error));
        exit(1);
    }
    if (status == STRONGROOM_STATUS_OK) {
        CHECK(*error == NULL);
    } else {
        CHECK(*error != NULL);
        CHECK(strongroom_error_status(*error) == status);
        CHECK(strlen(strongroom_error_message(*error)) > 10);
    }
    strongroom_error_free(*error);
    *error = NULL;
}

/* Makes a call that ends with `&error` and checks what it comes to. */
#define EXPECT(expected, call)                                                                         \
    do {                                                                                               \
        strongroom_error *error = NULL;                                                                \
        strongroom_status made = (call);                                                               \
        check_status(STRONGROOM_STATUS_##expected, made, &error, __FILE__, __LINE__);                  \
    } while (0)

#define MUST(call) EXPECT(OK, call)

/* A configuration with the key file "<directory>/root-key" and the store "<directory>/data". */
static strongroom_config *config_in(const char *directory) {
    char path[4096];
    strongroom_config *config = NULL;
    snprintf(path, sizeof path, "%s/data", directory);
    MUST(strongroom_config_new(TEXT(path), &config, &error));
    snprintf(path, sizeof path, "%s/root-key", directory);
    MUST(strongroom_config_key_file(config, TEXT("default"), TEXT(path), 0, &error));
    return config;
}

#endif
