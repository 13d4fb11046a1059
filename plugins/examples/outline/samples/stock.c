/* What a shop has in stock: int not_code(void) {} stands in a comment. */
#include <stdio.h>
#include <stdlib.h>

#define SHELF 40
#define LONGER(one, other) ((one) > (other) ? (one) : (other))

typedef unsigned long weight_t;

typedef struct item {
    char name[SHELF];
    unsigned count : 4, taken : 4;
    struct item *next;
} item_t;

enum change { ADDED, REMOVED = 3 };

struct shelf;

static const char *const labels[] = {"int neither(void) {}", "}"};

extern int weigh(const item_t *item, weight_t *out);

static inline item_t *
first(struct shelf *shelf)
{
    struct item *found = NULL;
    int local = '}';
    return local ? found : (item_t *)shelf;
}

int (*on_sale)(const item_t *, void *);

#ifdef WITH_REPORT
void report(FILE *out, const item_t *item)
{
    for (; item; item = item->next)
        fprintf(out, "%s\n", item->name);
}
#endif

union bits {
    float whole;
    unsigned char parts[4];
};

int main(int argc, char **argv)
{
    return LONGER(argc, 1) && first(NULL) != NULL && labels[0] && argv;
}
