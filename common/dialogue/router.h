/*
 * router: what router answers: to smtpd at each step of a transaction, to the queue manager for
 * each recipient, to control for `stagepost route`.
 */
#ifndef COMMON_DIALOGUE_ROUTER_H
#define COMMON_DIALOGUE_ROUTER_H

#include "common/wire/dialogue.h"

enum {
	ROUTER_ADDRESS_MAX = 320,
	ROUTER_TEXT_MAX = 400,
	ENHANCED_MAX = 12,
	ROUTER_STEP_MAX = 600,
	ROUTER_NEXT_HOP_MAX = 1024
};

/* The steps of an SMTP session at which a verdict is asked for. */
enum verdict_step {
	STEP_CONNECT = 1,
	STEP_HELO,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_HEADER,
	STEP_END
};
enum verdict_action {
	VERDICT_CONTINUE = 1,
	VERDICT_REPLY,	/* refuse with code, enhanced, text */
	VERDICT_DISCARD /* say yes, deliver nothing */
};

#define ROUTER_CHECK_FIELDS(F, S)                                                         \
	F(S, u64, request, 0, "repeated in the verdict")                                  \
	F(S, u32, step, 0, "enum verdict_step")                                           \
	F(S, string, client, 64, "numeric address of the client")                         \
	F(S, string, name, 255, "its name by DNS, confirmed both ways; empty: not known") \
	F(S, string, listener, 32, "kind of listener: smtp, local")                       \
	F(S, bool, trusted, 0, "client is in trust")                                      \
	F(S, string, helo, 255, "what it called itself")                                  \
	F(S, string, user, ROUTER_ADDRESS_MAX, "authenticated user, empty: none")         \
	F(S, string, sender, ROUTER_ADDRESS_MAX, "reverse-path without < >")              \
	F(S, string, recipient, ROUTER_ADDRESS_MAX, "at STEP_RCPT: without < >")
RECORD_DECLARE(router_check, ROUTER_CHECK_FIELDS)
#define ROUTER_VERDICT_FIELDS(F, S)                               \
	F(S, u64, request, 0, "of the question")                  \
	F(S, u32, action, VERDICT_DISCARD, "enum verdict_action") \
	F(S, u32, code, 599, "of the reply")                      \
	F(S, string, enhanced, ENHANCED_MAX, "5.1.1")             \
	F(S, string, text, ROUTER_TEXT_MAX, "after the codes")    \
	F(S, u64, whole, 0, "go on: for its whole domain, see below; else 0")
RECORD_DECLARE(router_verdict, ROUTER_VERDICT_FIELDS)

/* Answers that are `whole` depend on the settings alone and hold for every valid address of the
 * recipient's domain, so that whoever asks need not ask for each: a verdict for every client that
 * may send to all domains, a route (one delivery, by smtp, to the address itself) for every sender.
 * `whole` is then the generation of these settings (service_generation()). Who keeps such an answer
 * uses it while its own settings are of the same one, and until the channel ends: so none is used
 * any more when the master has heard of all that they serve with other settings. */

/* manager -> router: where does this recipient go? The answer: any number of ROUTER_DELIVERY, then
 * one ROUTER_ROUTED. When some of several addresses can't be delivered, each of these is a delivery
 * with transport "none", so that the others do not wait for it: it becomes a recipient of its own,
 * and asked about alone, as expanded, it gets its 4xx or 5xx. */
#define ROUTER_ASK_FIELDS(F, S)                                                              \
	F(S, u64, request, 0, "repeated in the answers")                                     \
	F(S, string, recipient, ROUTER_ADDRESS_MAX, "as received or as expanded")            \
	F(S, bool, expanded, 0, "it is already the result of an alias: do not expand again") \
	F(S, string, sender, ROUTER_ADDRESS_MAX, "reverse-path, for outbound from; empty: null")
RECORD_DECLARE(router_ask, ROUTER_ASK_FIELDS)
/* The next hop of transport smtp is one or more items separated by one blank, tried in that order:
 *	example.org		the MX hosts of example.org, port 25
 *	example.org:587		the MX hosts of example.org, that port
 *	[mx.example.org]:25	that host by its addresses, no look-up of MX (S42)
 *	[192.0.2.1]:25 [IPv6:2001:db8::1]:25	that address
 * Names are lower case, and A-labels where they are not ASCII (RFC 5890). */
#define ROUTER_DELIVERY_FIELDS(F, S)                                                     \
	F(S, u64, request, 0, "of the question")                                         \
	F(S, string, address, ROUTER_ADDRESS_MAX, "final address, for Delivered-To")     \
	F(S, string, transport, 32, "local, system (the machine's users), smtp or none") \
	F(S, string, next_hop, ROUTER_NEXT_HOP_MAX, "smtp: see above")                   \
	F(S, u32, deliver, 0, "number of the deliver statement")                         \
	F(S, string, user, 64, "local part of the mailbox, folded, without extension")   \
	F(S, string, domain, 255, "domain of the mailbox, folded")
RECORD_DECLARE(router_delivery, ROUTER_DELIVERY_FIELDS)
#define ROUTER_ROUTED_FIELDS(F, S)                                                 \
	F(S, u64, request, 0, "of the question")                                   \
	F(S, u32, code, 599, "0: the deliveries hold; 4xx: try later; 5xx: never") \
	F(S, string, enhanced, ENHANCED_MAX, "when code is not 0")                 \
	F(S, string, text, ROUTER_TEXT_MAX, "when code is not 0")                  \
	F(S, u64, whole, 0, "its delivery is that of its whole domain, see above; else 0")
RECORD_DECLARE(router_routed, ROUTER_ROUTED_FIELDS)

/* control -> router: explain; answers: a ROUTER_STEP for each step, then ROUTER_ROUTED. */
#define ROUTER_EXPLAIN_FIELDS(F, S)                                                    \
	F(S, u64, request, 0, "repeated in the answers")                               \
	F(S, string, recipient, ROUTER_ADDRESS_MAX, "any address")                     \
	F(S, bool, trusted, 0, "as for a client in trust, who may send to any domain") \
	F(S, string, sender, ROUTER_ADDRESS_MAX, "reverse-path, for outbound from; empty: null")
RECORD_DECLARE(router_explain, ROUTER_EXPLAIN_FIELDS)
#define ROUTER_STEP_FIELDS(F, S)                                    \
	F(S, u64, request, 0, "of the question")                    \
	F(S, u32, depth, 0, "nesting of aliases")                   \
	F(S, string, address, ROUTER_ADDRESS_MAX, "looked at")      \
	F(S, string, what, 32, "alias, user, deliver, refuse, ...") \
	F(S, string, text, ROUTER_STEP_MAX, "what was found and where")
RECORD_DECLARE(router_step, ROUTER_STEP_FIELDS)

#define ROUTER_MESSAGES(M)                     \
	M(ROUTER_CHECK, 1, router_check)       \
	M(ROUTER_VERDICT, 2, router_verdict)   \
	M(ROUTER_ASK, 3, router_ask)           \
	M(ROUTER_DELIVERY, 4, router_delivery) \
	M(ROUTER_ROUTED, 5, router_routed)     \
	M(ROUTER_EXPLAIN, 6, router_explain)   \
	M(ROUTER_STEP, 7, router_step)
DIALOGUE_NUMBERS(ROUTER_MESSAGES)
extern const struct dialogue router_dialogue;

#endif
