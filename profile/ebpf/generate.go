package ebpf

// The object is committed: whoever builds this package needs no clang. make
// generate makes it anew, from probes.c and kernel.h, with clang 14 and libbpf's
// headers (Debian: clang-14, llvm-14, libbpf-dev). One object serves every
// little-endian architecture, since what differs between them is found in the
// running kernel's types.
//
//go:generate go tool -modfile=../../tools/go.mod bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -type event -type named -type form probes probes.c -- -O2 -g -Wall -Werror
//go:generate sh -c "sha256sum probes.c kernel.h probes_bpfel.o > probes.sum"
