/*
 * map: octets -> pointer, hashed with SipHash under a key that each process draws at its start, so
 * that a stranger who chooses the keys can't make them collide. idmap: the same for 64-bit ids.
 * The map owns neither keys nor values: a key must live as long as its entry (keep it in the
 * value).
 */
#ifndef COMMON_BASE_MAP_H
#define COMMON_BASE_MAP_H

#include "common/base/slice.h"

struct map;
struct idmap;

struct map *map_new(void);
void map_free(struct map **m);
size_t map_count(const struct map *m);
void *map_get(const struct map *m, struct slice key); /* NULL: not there */
/* Puts or replaces (the key too); the former value or NULL. value is not NULL. */
void *map_put(struct map *m, struct slice key, void *value);
void *map_remove(struct map *m, struct slice key); /* the value that was there, or NULL */
/* Walk: *at starts at 0; false at the end. The map must not change but by removal of the entry
 * just given. */
bool map_next(const struct map *m, size_t *at, struct slice *key, void **value);

/* id 0 is not allowed. 16 octets a slot, at most 3/4 full. */
struct idmap *idmap_new(void);
void idmap_free(struct idmap **m);
size_t idmap_count(const struct idmap *m);
void *idmap_get(const struct idmap *m, uint64_t id);
void *idmap_put(struct idmap *m, uint64_t id, void *value);
void *idmap_remove(struct idmap *m, uint64_t id);
bool idmap_next(const struct idmap *m, size_t *at, uint64_t *id, void **value);

#endif
