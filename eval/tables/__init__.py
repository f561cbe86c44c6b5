"""The paper's tables, measured: what stands in each (`definitions`), put together (`build`) and written out (`render`)."""
