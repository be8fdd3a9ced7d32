// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/daemon.h"

#include "base/log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: sallyportd [-d] -c FILE\n"
	"       sallyportd --check FILE\n"
	"       sallyportd --options | --version | --help\n"
	"\n"
	"  -c, --config FILE  run with this configuration, in the foreground\n"
	"      --check FILE   report every mistake on stderr; exit status 0 or 1\n"
	"      --options      print every option of the configuration file\n"
	"  -d, --debug        log at debug level\n"
	"      --version      print the version\n"
	"  -h, --help         print this text\n";

enum { OPT_CHECK = 256, OPT_OPTIONS, OPT_VERSION };

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check", required_argument, NULL, OPT_CHECK},
	{"options", no_argument, NULL, OPT_OPTIONS},
	{"debug", no_argument, NULL, 'd'},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int check(const char *path)
{
	struct cfg *cfg;
	struct ike_credentials *credentials;
	if (cfg_load(path, stderr, &cfg))
		return EXIT_FAILURE;
	int rc = ike_credentials_new(cfg, stderr, &credentials);
	if (rc == 0)
		ike_credentials_free(credentials);
	cfg_free(cfg);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int serve(const char *path)
{
	struct daemon d;
	if (daemon_start(&d, path))
		return EXIT_FAILURE;
	puts("ready");
	fflush(stdout);
	daemon_run(&d);
	daemon_stop(&d);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *config = NULL;
	int option;
	while ((option = getopt_long(argc, argv, "c:dh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			config = optarg;
			break;
		case 'd':
			log_set_level(LOG_DEBUG);
			break;
		case OPT_CHECK:
			return check(optarg);
		case OPT_OPTIONS:
			cfg_print_reference(stdout);
			return EXIT_SUCCESS;
		case OPT_VERSION:
			puts("sallyportd " SALLYPORT_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (!config || optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	return serve(config);
}
