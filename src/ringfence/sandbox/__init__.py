"""The box: create, hold, enter and tear down the sandbox; locations; doctor; environments built outside it."""
