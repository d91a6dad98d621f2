/* A library that is linked against and then not shipped. */
__attribute__((visibility("default"))) void bad_gone_function(void);
void bad_gone_function(void)
{
}
