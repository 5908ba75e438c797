/* The launcher of the carried program: starts the Python interpreter beside it with the dynamic
 * loader and the libraries beside it, whatever C library the machine has, if any.
 *
 * The launcher requires only the kernel. It is installed twice, and its name decides:
 *
 *     airbundle ARGUMENT…    runs ../airbundle.pyz
 *     python3 ARGUMENT…      runs Python; this is sys.executable, with which the program runs itself
 *
 * scripts/launchers builds it for both architectures.
 */

typedef unsigned long word;

enum { AT_EXECFN = 31, AT_FDCWD = -100, MAX_PATH = 4096, MAX_NAME = 64, MAX_ARGUMENTS = 65536 };

#if defined(__x86_64__)
enum { READLINKAT = 267, EXECVE = 59, WRITE = 1, EXIT = 231 };

static long call(long number, word a, word b, word c, word d)
{
    long result;
    register word r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call start\n");
#elif defined(__aarch64__)
enum { READLINKAT = 78, EXECVE = 221, WRITE = 64, EXIT = 94 };

static long call(long number, word a, word b, word c, word d)
{
    register long x8 __asm__("x8") = number;
    register word x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return (long)x0;
}

__asm__(".globl _start\n_start: mov x0, sp\n bl start\n");
#endif

static char own_path[MAX_PATH], directory[MAX_PATH];
static char loader[MAX_PATH + MAX_NAME], interpreter[MAX_PATH + MAX_NAME];
static char preloaded[MAX_PATH + MAX_NAME];
static char executable[MAX_PATH + MAX_NAME], program[MAX_PATH + MAX_NAME];
static const char *arguments[MAX_ARGUMENTS];

static word length(const char *text)
{
    word count = 0;
    while (text[count])
        count++;
    return count;
}

static void fail(const char *problem, const char *subject)
{
    call(WRITE, 2, (word)"airbundle: ", 11, 0);
    call(WRITE, 2, (word)problem, length(problem), 0);
    call(WRITE, 2, (word)subject, length(subject), 0);
    call(WRITE, 2, (word)"\n", 1, 0);
    call(EXIT, 126, 0, 0, 0);
    __builtin_unreachable();
}

static void join(char *path, const char *name)
{
    word end = length(directory), i = 0;
    for (word j = 0; j < end; j++)
        path[j] = directory[j];
    do
        path[end + i] = name[i];
    while (name[i++]);
}

__attribute__((used)) void start(word *stack)
{
    word count = stack[0];
    const char **given = (const char **)(stack + 1);
    const char **environment = given + count + 1;
    word *auxiliary = (word *)environment;
    while (*auxiliary++)
        ;

    long size = call(READLINKAT, AT_FDCWD, (word)"/proc/self/exe", (word)own_path, MAX_PATH - 1);
    if (size <= 0) { /* /proc is not mounted */
        const char *name = count ? given[0] : "";
        for (; auxiliary[0]; auxiliary += 2)
            if (auxiliary[0] == AT_EXECFN)
                name = (const char *)auxiliary[1];
        size = length(name);
        if (size >= MAX_PATH)
            fail("path too long: ", name);
        for (long i = 0; i < size; i++)
            own_path[i] = name[i];
    }

    long slash = size - 1;
    while (slash >= 0 && own_path[slash] != '/')
        slash--;
    if (slash < 0)
        directory[0] = '.';
    for (long i = 0; i < slash; i++)
        directory[i] = own_path[i];
    join(loader, "/ld.so");
    join(preloaded, "/libstdcxx.so.6"); /* a bundle may not contain the name libstdc++.so.6 */
    join(interpreter, "/interpreter");
    join(executable, "/python3");
    join(program, "/../airbundle.pyz");

    word last = 0;
    arguments[last++] = loader;
    arguments[last++] = "--inhibit-cache";
    arguments[last++] = "--library-path";
    arguments[last++] = directory;
    arguments[last++] = "--preload";
    arguments[last++] = preloaded;
    arguments[last++] = "--argv0";
    arguments[last++] = executable;
    arguments[last++] = interpreter;
    if (own_path[slash + 1] != 'p')
        arguments[last++] = program;
    if (count + last >= MAX_ARGUMENTS)
        fail("too many arguments", "");
    for (word i = 1; i < count; i++)
        arguments[last++] = given[i];
    call(EXECVE, (word)loader, (word)arguments, (word)environment, 0);
    fail("cannot be started (copy it to a file system without noexec): ", loader);
}
