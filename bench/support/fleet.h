/* SPDX-License-Identifier: MIT */
/*
 * fleet - many chatting clients of the command dialect in one process, which count strictly: each
 * has to receive each message of everybody, its own included, once and in the order its sender had.
 *
 * A fleet is a process of its own between two pipes. It connects and reports how many are in; at
 * the word of its parent they chat; when everything that is owed has come, or nothing comes any
 * more, it sends its report, and at the next word it goes.
 */
#ifndef FLEET_H
#define FLEET_H

#include <stdbool.h>
#include <sys/types.h>

enum { FLEET_PATIENCE_S = 60, FLEET_SAMPLES_MAX = 1 << 18 };

/* What all clients of a scenario do. */
typedef struct fleet_plan {
    int clients;        /* of all processes together; those of a process are every Nth */
    int messages;       /* of each client */
    const char *prefix; /* of a message's text, before its number */
    bool names_sender;  /* " from client N" behind it */
    bool reads;
    bool waits;     /* for its own message before the next */
    int at_once;    /* messages in one write */
    int pause_ms;   /* then */
    int stagger_ms; /* between the first messages of one client and the next */
} fleet_plan;

typedef struct fleet_report {
    long sent, received;
    long wrong;    /* frames that were owed to nobody, lost, doubled or out of order */
    int connected; /* at first */
    int closed;    /* meanwhile */
    int complete;  /* clients that have everything that is owed to them */
    double begin, end;
    int samples; /* own-message latencies in ms, which follow the report as floats */
} fleet_report;

typedef struct fleet {
    pid_t pid;
    int to, from;
} fleet;

/* Forks process `index` of `count`; its clients connect to `port`. */
fleet fleet_start(const fleet_plan *plan, int port, int index, int count);

/* How many of its clients are connected. Waits for it. */
int fleet_connected(const fleet *f);

/* The word to go on: to chat; and then, after the report, to end. */
void fleet_go(const fleet *f);

/* Waits for the report; `samples` has room for FLEET_SAMPLES_MAX. */
fleet_report fleet_finish(const fleet *f, float *samples);

#endif
