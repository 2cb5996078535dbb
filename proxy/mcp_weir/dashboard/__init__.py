"""Read-only web pages and their JSON twins: server-rendered, whole without JavaScript, live with it."""
