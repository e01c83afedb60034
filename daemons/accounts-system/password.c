/*
 * The conversation answers one prompt, the one for the password, and gives up at the next: somebody
 * who must change his password, or has a second factor, can't do so by mail. PAM does not delay a
 * refusal: accounts does, for all its sources alike.
 */
#include "daemons/accounts-system/password.h"

#include <security/pam_appl.h>
#include <shadow.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/sandbox.h"
#include "common/wire/codec.h"
#include "daemons/accounts-system/lookup.h"

enum { SERVICE_MAX = 64, CLIENT_MAX = 64, PASSWORD_MOST = 1024, LIFE_SECONDS = 60 };

struct asked {
	char service[SERVICE_MAX + 1], user[USER_NAME_MAX + 1], client[CLIENT_MAX + 1];
	char password[PASSWORD_MOST + 1];
	bool answered; /* the prompt */
};

/* Made in the fork server, for all children. */
static struct sandbox_program *program;

bool password_begin(struct error *e)
{
	program = sandbox_compile(sandbox_find("accounts-password"), e);
	return program != NULL;
}

/* The answers are PAM's to free, and are wiped by it. */
static int converse(int count, const struct pam_message **messages, struct pam_response **answers,
		    void *arg)
{
	struct asked *a = arg;
	struct pam_response *r = count > 0 ? calloc((size_t)count, sizeof(*r)) : NULL;
	if (!r)
		return PAM_CONV_ERR;
	for (int i = 0; i < count; i++) {
		int style = messages[i]->msg_style;
		if (style == PAM_TEXT_INFO || style == PAM_ERROR_MSG)
			continue; /* for nobody's eyes */
		if (style != PAM_PROMPT_ECHO_OFF || a->answered) {
			for (int k = 0; k < i; k++) {
				if (r[k].resp)
					explicit_bzero(r[k].resp, strlen(r[k].resp));
				free(r[k].resp);
			}
			free(r);
			return PAM_CONV_ERR;
		}
		r[i].resp = strdup(a->password);
		a->answered = true;
	}
	*answers = r;
	return PAM_SUCCESS;
}

static void no_delay(int status, unsigned us, void *arg)
{
	(void)status, (void)us, (void)arg;
}

/* The type of the item is a pointer to an object. */
static const void *delay_item(void)
{
	void (*call)(int, unsigned, void *) = no_delay;
	const void *item;
	_Static_assert(sizeof(call) == sizeof(item), "PAM_FAIL_DELAY is a pointer");
	memcpy(&item, &call, sizeof(item));
	return item;
}

/* What a user can do nothing about is no refusal (S55). */
static bool is_refusal(int status)
{
	static const int refusals[] = {
	    PAM_AUTH_ERR,	 PAM_USER_UNKNOWN,     PAM_MAXTRIES,
	    PAM_ACCT_EXPIRED,	 PAM_PERM_DENIED,      PAM_CRED_EXPIRED,
	    PAM_AUTHTOK_EXPIRED, PAM_NEW_AUTHTOK_REQD, PAM_CONV_ERR,
	};
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i] == status)
			return true;
	return false;
}

/* Loads what PAM and NSS load late, while it can be. */
static int begin(const struct asked *a, const struct pam_conv *conversation, pam_handle_t **pam)
{
	int status = pam_start(a->service, a->user, conversation, pam);
	if (status == PAM_SUCCESS)
		status = pam_set_item(*pam, PAM_FAIL_DELAY, delay_item());
	if (status == PAM_SUCCESS)
		status = pam_set_item(*pam, PAM_TTY, "stagepost");
	if (status == PAM_SUCCESS && a->client[0] != '\0')
		status = pam_set_item(*pam, PAM_RHOST, a->client);
	(void)!getspnam(a->user);
	return status;
}

static void fail(struct accounts_answer *m, struct error *e)
{
	error_prefix(e, "PAM");
	*m = (struct accounts_answer){.result = ACCOUNTS_TROUBLE, .text = slice_str(e->text)};
}

/* Known stays known only when PAM says so. */
static void ask_pam(struct asked *a, struct accounts_answer *m, struct error *e)
{
	const struct pam_conv conversation = {converse, a};
	pam_handle_t *pam = NULL;
	int flags = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;
	int status = begin(a, &conversation, &pam);
	bool known = m->result == ACCOUNTS_KNOWN;
	if (status == PAM_SUCCESS && !sandbox_enter_compiled(program, e)) {
		fail(m, e);
		return;
	}
	if (status == PAM_SUCCESS)
		status = pam_authenticate(pam, flags);
	if (status == PAM_SUCCESS)
		status = pam_acct_mgmt(pam, flags);
	if (status == PAM_SUCCESS && known)
		m->result = ACCOUNTS_KNOWN;
	else if (status == PAM_SUCCESS || is_refusal(status))
		*m = (struct accounts_answer){.result = ACCOUNTS_MISSING};
	else {
		error_set(e, status, "%s", pam_strerror(pam, status));
		fail(m, e);
	}
	if (pam)
		pam_end(pam, status);
}

/* The name of a file in pam.d, and no way out of there. */
static bool service_valid(struct slice service)
{
	for (size_t i = 0; i < service.len; i++) {
		char c = ascii_lower(service.ptr[i]);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
			return false;
	}
	return service.len > 0;
}

static bool read_request(struct slice request, struct asked *a)
{
	struct accounts_password m;
	bool fine = codec_decode(&accounts_password_record, request, &m) && service_valid(m.pam) &&
		    user_name_valid(m.user) && slice_copy(m.pam, a->service, sizeof(a->service)) &&
		    slice_copy(m.user, a->user, sizeof(a->user)) &&
		    slice_copy(m.client, a->client, sizeof(a->client)) &&
		    slice_copy(m.password, a->password, sizeof(a->password));
	if (request.len > 0)
		explicit_bzero((void *)(uintptr_t)request.ptr, request.len);
	return fine;
}

void password_child(struct slice request, int fd)
{
	static struct lookup l;
	static struct asked a;
	struct accounts_answer m = {.result = ACCOUNTS_MISSING};
	alarm(LIFE_SECONDS);
	if (read_request(request, &a)) {
		lookup_find(slice_str(a.user), &l, &m);
		/* who is not there costs as much */
		if (m.result != ACCOUNTS_TROUBLE)
			ask_pam(&a, &m, &l.e);
	}
	explicit_bzero(&a, sizeof(a));
	lookup_send(&m, fd);
}
