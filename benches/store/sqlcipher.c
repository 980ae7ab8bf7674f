/* SQLCipher doing what `store groups` does: commits of `size` records of 600 bytes, WAL, synchronous FULL.
   cc -O2 -DSQLITE_HAS_CODEC -o sqlcipher sqlcipher.c -lsqlcipher; ./sqlcipher DIR SIZE COMMITS prints commits a second. */
#include <sqlcipher/sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RECORD = 600 };

static void must(int code, sqlite3 *db) {
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW) {
        fprintf(stderr, "sqlcipher: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

int main(int count, char **words) {
    if (count != 4) return 2;
    char path[4096];
    snprintf(path, sizeof path, "%s/groups.sqlcipher", words[1]);
    long size = atol(words[2]), commits = atol(words[3]);
    sqlite3 *db;
    must(sqlite3_open(path, &db), db);
    must(sqlite3_exec(db,
                      "PRAGMA key = \"x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'\";"
                      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                      "CREATE TABLE records (id INTEGER PRIMARY KEY, body BLOB NOT NULL);",
                      NULL, NULL, NULL), db);
    sqlite3_stmt *insert;
    must(sqlite3_prepare_v2(db, "INSERT INTO records VALUES (?, ?)", -1, &insert, NULL), db);
    unsigned char record[RECORD];
    uint64_t number = 0;
    double began = now();
    for (long commit = 0; commit < commits + commits / 10; commit++) {
        if (commit == commits / 10) began = now();
        must(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), db);
        for (long n = 0; n < size; n++, number++) {
            for (int at = 0; at < RECORD; at++) record[at] = number * 0x9E3779B97F4A7C15u >> (at % 56);
            must(sqlite3_bind_int64(insert, 1, number), db);
            must(sqlite3_bind_blob(insert, 2, record, RECORD, SQLITE_STATIC), db);
            must(sqlite3_step(insert), db);
            must(sqlite3_reset(insert), db);
        }
        must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), db);
    }
    double seconds = now() - began;
    printf("{\"commits_per_second\": %.2f, \"records_per_second\": %.2f, \"version\": \"%s\"}\n", commits / seconds,
           commits * size / seconds, sqlite3_libversion());
    sqlite3_finalize(insert);
    sqlite3_close(db);
    snprintf(path, sizeof path, "%s/groups.sqlcipher", words[1]);
    return remove(path);
}
