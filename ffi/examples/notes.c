/* Keeps notes, encrypted: `notes DIRECTORY put NAME TEXT`, `notes DIRECTORY get NAME`, `notes DIRECTORY list`. */
#include <stdio.h>
#include <string.h>

#include "strongroom.h"

/* Says what went wrong, and gives the number of its kind: what main returns. */
static int failed(strongroom_error *error) {
    int kind = (int)strongroom_error_status(error);
    fprintf(stderr, "notes: %s\n", strongroom_error_message(error));
    strongroom_error_free(error);
    return kind;
}

/* Opens the store in a directory, or creates it the first time. */
static strongroom_status open_store(const char *directory, strongroom_engine **engine, strongroom_error **error) {
    char root_key[4096];
    strongroom_config *config = NULL;
    strongroom_status status = strongroom_config_new(directory, strlen(directory), &config, error);
    if (status != STRONGROOM_STATUS_OK) {
        return status;
    }
    snprintf(root_key, sizeof root_key, "%s.root-key", directory);
    status = strongroom_config_key_file(config, "default", 7, root_key, strlen(root_key), 0, error);
    if (status == STRONGROOM_STATUS_OK) {
        status = strongroom_engine_create(config, engine, error);
    }
    if (status == STRONGROOM_STATUS_ALREADY_EXISTS) {
        strongroom_error_free(*error);
        *error = NULL;
        status = strongroom_engine_open(config, engine, error);
    }
    strongroom_config_free(config);
    return status;
}

/* Opens the tenant that owns the notes, or creates it the first time. */
static strongroom_status open_notes(strongroom_engine *engine, strongroom_collection **notes,
                                    strongroom_error **error) {
    strongroom_tenant *tenant = NULL;
    strongroom_status status = strongroom_engine_tenant(engine, "me", 2, &tenant, error);
    if (status == STRONGROOM_STATUS_NOT_FOUND) {
        strongroom_error_free(*error);
        *error = NULL;
        status = strongroom_engine_create_tenant(engine, "me", 2, NULL, &tenant, error);
    }
    if (status == STRONGROOM_STATUS_OK) {
        status = strongroom_tenant_collection(tenant, "notes", 5, notes, error);
    }
    strongroom_tenant_free(tenant); /* The collection does not need it. */
    return status;
}

static strongroom_status print(const strongroom_collection *notes, const char *name, strongroom_error **error) {
    strongroom_buffer *text = NULL;
    strongroom_status status =
        strongroom_collection_get(notes, (const uint8_t *)name, strlen(name), &text, error);
    if (status == STRONGROOM_STATUS_OK && text != NULL) {
        fwrite(strongroom_buffer_data(text), 1, strongroom_buffer_size(text), stdout);
        putchar('\n');
    }
    strongroom_buffer_free(text);
    return status;
}

static strongroom_status list(const strongroom_collection *notes, strongroom_error **error) {
    strongroom_scan_options options;
    strongroom_scan *scan = NULL;
    strongroom_page *page = NULL;
    strongroom_status status = strongroom_scan_options_init(&options, sizeof options);
    options.keys_only = 1;
    if (status == STRONGROOM_STATUS_OK) {
        status = strongroom_collection_scan(notes, &options, &scan, error);
    }
    while (status == STRONGROOM_STATUS_OK) {
        size_t index;
        status = strongroom_scan_next(scan, 0, 0, &page, error);
        if (status != STRONGROOM_STATUS_OK || page == NULL) {
            break;
        }
        for (index = 0; index < strongroom_page_count(page); index++) {
            const strongroom_entry *entry = &strongroom_page_entries(page)[index];
            printf("%.*s (%zu bytes)\n", (int)entry->key_size, (const char *)entry->key, entry->value_size);
        }
        strongroom_page_free(page);
    }
    strongroom_scan_free(scan);
    return status;
}

int main(int count, char **arguments) {
    strongroom_engine *engine = NULL;
    strongroom_collection *notes = NULL;
    strongroom_error *error = NULL;
    strongroom_status status;
    if (count < 3) {
        fprintf(stderr, "usage: notes DIRECTORY put NAME TEXT | get NAME | list\n");
        return 1;
    }
    status = open_store(arguments[1], &engine, &error);
    if (status == STRONGROOM_STATUS_OK) {
        status = open_notes(engine, &notes, &error);
    }
    if (status == STRONGROOM_STATUS_OK) {
        const char *name = count > 3 ? arguments[3] : "";
        const char *text = count > 4 ? arguments[4] : "";
        if (strcmp(arguments[2], "put") == 0) {
            status = strongroom_collection_put(notes, (const uint8_t *)name, strlen(name), (const uint8_t *)text,
                                               strlen(text), NULL, NULL, &error);
        } else if (strcmp(arguments[2], "get") == 0) {
            status = print(notes, name, &error);
        } else {
            status = list(notes, &error);
        }
    }
    strongroom_collection_free(notes);
    if (status == STRONGROOM_STATUS_OK) {
        status = strongroom_engine_close(engine, &error);
    }
    strongroom_engine_free(engine);
    return status == STRONGROOM_STATUS_OK ? 0 : failed(error);
}
